"""librdkafka clients for commands: who cannot reach the brokers is told so, in one line with a way out.

librdkafka retries for ever and writes why to its own log. A command has no for ever: it waits `request_timeout_ms`,
and then `KafkaUnreachableError` carries the newest reason that librdkafka gave (refused, name not found).

Where brokers ask who we are, one connection knocks first (`streams.security.admission`): it knows at once, and in
words that name the setting, what librdkafka would only find out by trying until its time is up. What is denied later,
topic by topic, is said with the command that lists what must be allowed.
"""

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicCollection
from confluent_kafka.admin import AdminClient

from streams.errors import ExpectedError, KafkaRefusedError, KafkaUnreachableError
from streams.security.sources import token_source
from streams.security.tokens import TokenSource, TokenUnavailableError
from streams.settings import KafkaSettings, SecurityProtocol

ANOTHER_ADDRESS: Final = "name another address (--bootstrap HOST:PORT)"
COMPLAINT_WAIT_S: Final = 0.1
# A broker that is just starting may need a moment until it listens.
REFUSAL_PATIENCE_S: Final = 2.0
REFUSAL_RETRY_S: Final = 0.1
DENIED_CODES: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
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

NO_BROKER: Final = "who listens there is no broker for clients, or a very old one; it may be the port of a controller"
# Even at its highest level librdkafka would write to standard error; what matters comes by `error_cb` and exceptions.
_SILENT: Final = logging.getLogger("streams.librdkafka")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


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
        if error.code() != KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 - says nothing of why
            self.last = str(error.str())


@contextmanager
def reaching(kafka: KafkaSettings) -> Iterator[Complaints]:
    """Turn errors of the block into what the user can mend, others pass.

    Raises:
        KafkaUnreachableError: time-outs and broken connections.
        KafkaRefusedError: we are not let in, or not allowed to do what the block does.
    """
    if kafka.security_protocol is SecurityProtocol.PLAINTEXT:
        _require_listener(kafka)
    else:
        _require_admission(kafka)
    complaints = Complaints()
    try:
        yield complaints
    except KafkaException as error:
        cause = error.args[0]
        if cause.code() in DENIED_CODES:
            raise denied(kafka, cause.str()) from None
        if cause.code() == KafkaError._UNSUPPORTED_FEATURE:  # noqa: SLF001 - as above
            raise _unreachable(kafka, NO_BROKER) from None
        if cause.code() not in UNREACHABLE_CODES:
            raise
        if (complaint := complaints.heard()) is None:
            _require_admission(kafka)  # of a listener that hangs up librdkafka says nothing, and this says why
        raise _unreachable(kafka, complaint or cause.str()) from None


def denied(kafka: KafkaSettings, what: str) -> KafkaRefusedError:
    """The brokers know who we are and do not allow this."""
    return KafkaRefusedError(
        f"Kafka at {kafka.bootstrap} does not allow this user what the command does: {what}; "
        "what it needs is listed by: pegel topics acls"
    )


def absent(kafka: KafkaSettings, complaints: Complaints, topic: str) -> ExpectedError:
    """Why a topic is not among all topics: whoever may not see it is not shown it."""
    futures = admin_client(kafka, complaints).describe_topics(
        TopicCollection([topic]), request_timeout=timeout_s(kafka)
    )
    try:
        futures[topic].result()
    except KafkaException as error:
        if error.args[0].code() in DENIED_CODES:
            return denied(kafka, f"topic {topic}: {error.args[0].str()}")
    return ExpectedError(f"there is no topic {topic} at {kafka.bootstrap}; create it: pegel topics apply")


def _require_admission(kafka: KafkaSettings) -> None:
    from streams.security.access import client_access  # noqa: PLC0415 - slow to import, and not always needed
    from streams.security.admission import require_admission  # noqa: PLC0415

    access = replace(client_access(kafka), request_timeout_ms=kafka.request_timeout_ms)
    deadline = time.monotonic() + min(REFUSAL_PATIENCE_S, timeout_s(kafka))
    while True:
        try:
            require_admission(access)
        except KafkaRefusedError:
            raise
        except KafkaUnreachableError as error:
            if time.monotonic() > deadline:
                raise KafkaUnreachableError(f"{error}; {ANOTHER_ADDRESS}") from None
            time.sleep(REFUSAL_RETRY_S)
        else:
            return


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
        f"Kafka does not answer at {kafka.bootstrap}: {reason}; start it (pegel dev kafka) or {ANOTHER_ADDRESS}"
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
    config = {**kafka.librdkafka(), "client.id": "pegel", "error_cb": complaints.note, **extra}
    config |= {"log_level": 0, "logger": _SILENT}
    if (source := token_source(kafka)) is not None:
        config["oauth_cb"] = _Tokens(source, complaints)
    return config


class _Tokens:
    """librdkafka asks for a token when it needs the first one and when one nears its end."""

    def __init__(self, source: TokenSource, complaints: Complaints) -> None:
        self._source = source
        self._complaints = complaints

    def __call__(self, _config: str) -> tuple[str, float]:
        try:
            token = self._source.token()
        except TokenUnavailableError as error:
            self._complaints.last = str(error)
            raise  # librdkafka asks again in ten seconds
        return token.value, token.expires_at_s


def _known(client: Any, complaints: Complaints) -> Any:
    complaints.clients.append(client)
    return client
