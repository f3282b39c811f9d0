"""librdkafka clients for commands: who cannot reach the brokers is told so, in one line with a way out.

librdkafka retries for ever and writes why to its own log. A command has no for ever: it waits `request_timeout_ms`,
and then `KafkaUnreachableError` carries the newest reason that librdkafka gave (refused, name not found, login
failed).
"""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from streams.errors import KafkaUnreachableError
from streams.settings import KafkaSettings

COMPLAINT_WAIT_S: Final = 0.1
# A broker that is just starting may need a moment until it listens.
REFUSAL_PATIENCE_S: Final = 2.0
REFUSAL_RETRY_S: Final = 0.1
UNREACHABLE_CODES: Final = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001 - librdkafka's own error codes begin with an underscore
        KafkaError._AUTHENTICATION,  # noqa: SLF001
        KafkaError._RESOLVE,  # noqa: SLF001
        KafkaError._SSL,  # noqa: SLF001
        KafkaError._TIMED_OUT,  # noqa: SLF001
        KafkaError._TRANSPORT,  # noqa: SLF001
    }
)


@dataclass(slots=True)
class Complaints:
    """What librdkafka said last about its connections."""

    last: str | None = None
    clients: list[Any] = field(default_factory=list)

    def heard(self) -> str | None:
        """The newest complaint; clients deliver them only when they are polled."""
        for client in self.clients:
            client.poll(COMPLAINT_WAIT_S)
        return self.last

    def note(self, error: Any) -> None:
        self.last = str(error.str())


@contextmanager
def reaching(kafka: KafkaSettings) -> Iterator[Complaints]:
    """Turn time-outs and connection errors of the block into `KafkaUnreachableError`; others pass."""
    _require_listener(kafka)
    complaints = Complaints()
    try:
        yield complaints
    except KafkaException as error:
        cause = error.args[0]
        if cause.code() not in UNREACHABLE_CODES:
            raise
        raise _unreachable(kafka, complaints.heard() or cause.str()) from None


def _require_listener(kafka: KafkaSettings) -> None:
    """Fail soon where nobody listens at any address: librdkafka would try until its time is up."""
    deadline = time.monotonic() + min(REFUSAL_PATIENCE_S, timeout_s(kafka))
    while True:
        for address in kafka.bootstrap.split(","):
            host, _, port = address.rpartition(":")
            try:
                socket.create_connection((host, int(port)), timeout=REFUSAL_PATIENCE_S).close()
            except TimeoutError:
                return  # slow is not refused: librdkafka may have more patience
            except (OSError, OverflowError) as error:
                reason = f"{address}: {getattr(error, 'strerror', None) or error}"
            else:
                return
        if time.monotonic() > deadline:
            raise _unreachable(kafka, reason)
        time.sleep(REFUSAL_RETRY_S)


def _unreachable(kafka: KafkaSettings, reason: str) -> KafkaUnreachableError:
    return KafkaUnreachableError(
        f"Kafka does not answer at {kafka.bootstrap}: {reason}; "
        "start it (pegel dev kafka) or name another address (--bootstrap HOST:PORT)"
    )


def admin_client(kafka: KafkaSettings, complaints: Complaints) -> Any:
    return _known(AdminClient(_config(kafka, complaints, {})), complaints)


def producer(kafka: KafkaSettings, complaints: Complaints, extra: dict[str, Any]) -> Any:
    return _known(Producer(_config(kafka, complaints, extra)), complaints)


def consumer(kafka: KafkaSettings, complaints: Complaints, extra: dict[str, Any]) -> Any:
    return _known(Consumer(_config(kafka, complaints, extra)), complaints)


def timeout_s(kafka: KafkaSettings) -> float:
    return kafka.request_timeout_ms / 1000


def is_mock_cluster(metadata: Any) -> bool:
    """Is this librdkafka's mock cluster, where topics make themselves and cannot be made?"""
    return str(metadata.cluster_id).startswith("mockCluster")


def _config(kafka: KafkaSettings, complaints: Complaints, extra: dict[str, Any]) -> dict[str, Any]:
    return {**kafka.librdkafka(), "client.id": "pegel", "log_level": 0, "error_cb": complaints.note, **extra}


def _known(client: Any, complaints: Complaints) -> Any:
    complaints.clients.append(client)
    return client
