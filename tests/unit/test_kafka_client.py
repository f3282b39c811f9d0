"""Laws of reaching Kafka: who cannot is told where and why, soon and in one line."""

import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.errors import KafkaRefusedError, KafkaUnreachableError
from streams.kafka_client import DENIED_CODES, admin_client, reaching
from streams.settings import KafkaSettings
from streams.topic_admin import TopicAdmin


@pytest.fixture
def deaf() -> Iterator[str]:
    """An address where somebody listens who does not speak Kafka."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def hanging_up() -> Iterator[str]:
    """An address where somebody listens who reads what comes and closes, as a listener with TLS does."""

    class HangUp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(100)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), HangUp) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_where_nobody_listens_it_fails_soon() -> None:
    started = time.monotonic()

    with pytest.raises(KafkaUnreachableError, match=r"0\.1:1: Connection refused; start it \(pegel dev kafka\)"):
        TopicAdmin(KafkaSettings(bootstrap="127.0.0.1:1")).names()
    assert time.monotonic() - started < 5


def test_a_name_that_does_not_exist_is_said() -> None:
    with pytest.raises(KafkaUnreachableError, match=r"no\.such\.invalid:9092"):
        TopicAdmin(KafkaSettings(bootstrap="no.such.invalid:9092", request_timeout_ms=1_000)).names()


def test_one_address_that_answers_is_enough_to_go_on(deaf: str) -> None:
    with reaching(KafkaSettings(bootstrap=f"127.0.0.1:1,{deaf}")):
        pass


def test_a_listener_that_is_no_kafka_is_unreachable_after_the_time_out(deaf: str) -> None:
    with pytest.raises(KafkaUnreachableError, match=f"does not answer at {deaf}: "):
        TopicAdmin(KafkaSettings(bootstrap=deaf, request_timeout_ms=1_000)).names()


def test_the_newest_complaint_of_the_client_is_the_reason(deaf: str) -> None:
    kafka = KafkaSettings(bootstrap=deaf)

    def fail() -> None:
        with reaching(kafka) as complaints:
            admin_client(kafka, complaints)
            complaints.note(KafkaError(KafkaError._AUTHENTICATION, "login failed"))
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))

    with pytest.raises(KafkaUnreachableError, match="login failed"):
        fail()


def test_a_controllers_port_is_said_to_be_no_brokers(deaf: str) -> None:
    kafka = KafkaSettings(bootstrap=deaf)
    with pytest.raises(KafkaUnreachableError, match="may be the port of a controller"), reaching(kafka):
        raise KafkaException(KafkaError(KafkaError._UNSUPPORTED_FEATURE))


def test_other_failures_pass_as_they_are(deaf: str) -> None:
    with pytest.raises(KafkaException), reaching(KafkaSettings(bootstrap=deaf)):
        raise KafkaException(KafkaError(KafkaError.INVALID_CONFIG))


@pytest.mark.parametrize("code", sorted(DENIED_CODES))
def test_what_is_not_allowed_is_said_with_the_command_that_lists_what_must_be(deaf: str, code: int) -> None:
    with pytest.raises(KafkaRefusedError, match="pegel topics acls"), reaching(KafkaSettings(bootstrap=deaf)):
        raise KafkaException(KafkaError(code))


def test_a_listener_that_hangs_up_on_plain_text_is_said_to_speak_something_else() -> None:
    with hanging_up() as address, pytest.raises(KafkaUnreachableError, match=r"set kafka\.security_protocol"):
        TopicAdmin(KafkaSettings(bootstrap=address, request_timeout_ms=1_000)).names()
