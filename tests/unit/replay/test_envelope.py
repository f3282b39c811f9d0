import base64
import json
from typing import Any

import pytest

from schemas.dead_letter import Rejected
from streams.replay.envelope import decode_envelope
from tests.unit.engine.building import START
from tests.unit.replay.dumps import envelope, in_base64


def decoded(record: dict[str, Any]) -> Any:
    return decode_envelope(json.dumps(record).encode())


def test_a_dumped_record_is_its_bytes() -> None:
    found = decoded(envelope('{"é":1}', START, key="čapek", partition=3))
    assert (found.partition, found.ts) == (3, START)
    assert (found.key_bytes(), found.payload_bytes()) == ("čapek".encode(), '{"é":1}'.encode())


def test_bytes_that_are_no_text_come_as_base64() -> None:
    plain = envelope('{"a":1}', START)
    found = decoded(in_base64(plain))
    assert (found.key_bytes(), found.payload_bytes()) == (b"acme", b'{"a":1}')
    assert decoded(envelope(None, START, payload_base64="/w==")).payload_bytes() == b"\xff"


def test_nothing_is_nothing() -> None:
    found = decoded(envelope(None, START, key=None))
    assert (found.key_bytes(), found.payload_bytes(), found.header("pegel-control")) == (None, None, None)


@pytest.mark.parametrize("field", ["key_base64", "payload_base64"])
def test_base64_that_cannot_be_read_is_refused(field: str) -> None:
    found = decoded(envelope("x", START) | {field: "!"})
    with pytest.raises(Rejected, match="base64"):
        (found.key_bytes if field.startswith("key") else found.payload_bytes)()


def test_the_last_header_of_a_name_counts() -> None:
    found = decoded(envelope("x", START, headers=["a", "1", "pegel-control", "clock", "a", "2", "b", None, "odd"]))
    assert [found.header(name) for name in ("a", "pegel-control", "b", "odd", "c")] == ["2", "clock", None, None, None]


def test_headers_that_are_no_text_come_as_base64() -> None:
    flat = [b"a", b"\xff", b"pegel-control", b"clock", b"\xfe", b"1", b"n", None]
    encoded = [None if one is None else base64.b64encode(one).decode() for one in flat]
    found = decoded(envelope("x", START) | {"headers_base64": encoded})
    assert found.header_pairs() == [("a", b"\xff"), ("pegel-control", b"clock"), ("\\xfe", b"1"), ("n", None)]
    assert [found.header(name) for name in ("pegel-control", "a", "n")] == ["clock", "\ufffd", None]
    with pytest.raises(Rejected, match="base64"):
        decoded(envelope("x", START) | {"headers_base64": ["!", "!"]}).header("a")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        b"not json",
        b"\xff",
        b'{"topic": "t"}',
        b'{"topic": "t", "partition": "0", "offset": 0, "ts": 0}',
    ],
)
def test_other_lines_are_no_envelopes(line: bytes) -> None:
    assert decode_envelope(line) is None
