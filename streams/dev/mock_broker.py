"""The last resort: librdkafka's mock cluster, inside this process. It needs nothing, and lacks a lot (`LACKS`)."""

from typing import Any, Final

from streams.dev.jars import UnavailableError

READY_TIMEOUT_S: Final = 10.0
LACKS: Final = (
    "a mock cluster: data lives in memory and is cut at about 5 MB a partition, topics make themselves (4 partitions, "
    "no compaction, no retention), `pegel topics` does not work. Good for a first look, not for a test of anything."
)


class MockBroker:
    def __init__(self) -> None:
        from confluent_kafka import Producer  # noqa: PLC0415 - slow to import

        # The cluster lives as long as the client that it is part of.
        self._client: Any = Producer({"bootstrap.servers": "localhost:1", "test.mock.num.brokers": 1, "log_level": 0})
        brokers = list(self._client.list_topics(timeout=READY_TIMEOUT_S).brokers.values())
        if not brokers:
            raise UnavailableError("librdkafka's mock cluster did not come up")
        self.bootstrap = f"{brokers[0].host}:{brokers[0].port}"

    def stop(self) -> None:
        self._client = None
