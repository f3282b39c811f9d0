"""Laws of a dumped line: what replay reads back is what was in the topic, whatever the bytes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.dead_letter import Rejected
from streams.dumping import line_of
from streams.replay.envelope import decode_envelope
from streams.runtime.headers import require_readable

BYTES = st.binary(max_size=20) | st.text(max_size=20).map(str.encode) | st.none()
HEADERS = st.lists(st.tuples(st.text(min_size=1, max_size=5), BYTES), max_size=3) | st.none()


class Message:
    """A record as librdkafka hands it over."""

    def __init__(self, key: bytes | None, value: bytes | None, headers: Any) -> None:
        self._key, self._value, self._headers = key, value, headers

    def topic(self) -> str:
        return "account.events.v1"

    def partition(self) -> int:
        return 3

    def offset(self) -> int:
        return 7

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_709_546_400_000

    def headers(self) -> Any:
        return self._headers

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        return self._value


@given(BYTES, BYTES, HEADERS)
def test_key_value_and_place_come_back_whatever_the_bytes(key: bytes | None, value: bytes | None, headers: Any) -> None:
    envelope = decode_envelope(line_of(Message(key, value, headers)))

    assert envelope is not None
    assert (envelope.key_bytes(), envelope.payload_bytes()) == (key, value)
    assert (envelope.topic, envelope.partition, envelope.offset, envelope.ts) == (
        "account.events.v1", 3, 7, 1_709_546_400_000,
    )  # fmt: skip


@given(HEADERS)
def test_headers_come_back_whatever_the_bytes(headers: Any) -> None:
    envelope = decode_envelope(line_of(Message(b"k", b"v", headers)))

    assert envelope is not None
    assert envelope.header_pairs() == (headers or [])


class Broken(Message):
    """As the client is when a header's name is no UTF-8."""

    def __init__(self) -> None:
        super().__init__(b"k", b"v", None)

    def headers(self) -> Any:
        return super().headers() or b"\xff".decode()

    def set_headers(self, headers: Any) -> None:
        self._headers = headers


def test_a_record_whose_headers_cannot_be_read_is_marked_as_workers_mark_it() -> None:
    message = Broken()
    for _ in range(2):
        envelope = decode_envelope(line_of(message))

        assert envelope is not None
        with pytest.raises(Rejected, match="UTF-8"):
            require_readable(envelope.header_pairs())


def test_a_line_has_the_shape_of_kcat() -> None:
    line = line_of(Message(b"acme", b'{"a":1}', [("pegel-control", b"clock"), ("empty", None)]))

    assert json.loads(line) == {
        "topic": "account.events.v1",
        "partition": 3,
        "offset": 7,
        "tstype": "create",
        "ts": 1_709_546_400_000,
        "headers": ["pegel-control", "clock", "empty", None],
        "key": "acme",
        "payload": '{"a":1}',
    }


def test_bytes_that_are_no_text_come_as_base64_and_nulls_as_null() -> None:
    assert json.loads(line_of(Message(None, b"\xff", [("h", b"\xfe")]))) == {
        "topic": "account.events.v1",
        "partition": 3,
        "offset": 7,
        "tstype": "create",
        "ts": 1_709_546_400_000,
        "headers_base64": ["aA==", "/g=="],
        "key": None,
        "payload_base64": "/w==",
    }


def test_a_line_is_one_line() -> None:
    assert b"\n" not in line_of(Message(b"a\nb", b"c\r\nd\xe2\x80\xa8", [("x\ny", b"\n")]))
