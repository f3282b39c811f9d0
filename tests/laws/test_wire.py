"""The hot path and the model are one reader: same records accepted, same reasons, same values."""

import ast
import gzip
import inspect
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas import wire_event
from schemas.dead_letter import Rejected, RejectReason
from schemas.derive import readers
from schemas.event import Event, read_event
from schemas.generate import json_schema
from schemas.lenient import PLAIN_DEPTH
from schemas.wire import decode_event
from schemas.wire_event import WireEvent
from streams.limits import JSON_DEPTH_MAX, JSON_KEYS_MAX, RECORD_BYTES_MAX

FIELDS = tuple(Event.model_fields)
READ_FIELDS = ("type", "timestamp", *readers(Event))
"""All but those that stand in the model only so that they surprise nobody."""
SCHEMA = jsonschema.Draft202012Validator(json_schema("event"))
REAL = [
    line.rstrip(b"\n")
    for line in gzip.decompress((Path(__file__).parents[2] / "deploy/demo/oss-activity.ndjson.gz").read_bytes())
    .splitlines()[::149]
]  # fmt: skip

# Beyond a certain depth neither reader looks further, so that either reason is right (schemas.json_limits).
DEEP_AND_MALFORMED = (
    {RejectReason.TOO_DEEP, RejectReason.NOT_JSON},
    {RejectReason.TOO_DEEP, RejectReason.NOT_UTF8},
)

Outcome = RejectReason | dict[str, Any]


def by_hot_path(raw: bytes) -> Outcome:
    try:
        event = decode_event(raw)
    except Rejected as rejected:
        return rejected.reason
    return {name: getattr(event, name) for name in READ_FIELDS}


def by_model(raw: bytes) -> Outcome:
    try:
        event = read_event(raw)
    except Rejected as rejected:
        return rejected.reason
    return {name: getattr(event, name) for name in READ_FIELDS}


def exactly(value: Any) -> Any:
    """A form that tells 1 from 1.0 from True, and 0.0 from -0.0, but not the order of keys."""
    if isinstance(value, dict):
        return {key: exactly(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [exactly(inner) for inner in value]
    return (type(value).__name__, repr(value))


def assert_same(raw: bytes) -> None:
    hot, model = by_hot_path(raw), by_model(raw)
    if isinstance(hot, str) and isinstance(model, str) and {hot, model} in DEEP_AND_MALFORMED:
        return
    assert exactly(hot) == exactly(model), raw[:300]


# Fragments of JSON, right and wrong. Built as bytes, because what a serializer cannot write is what has to be tried.
NUMBERS = [
    b"0", b"-0", b"0.0", b"-0.0", b"1", b"-1", b"1.0", b"1e3", b"1E+3", b"1e-3", b"5e-324", b"2e-324", b"1e-400",
    b"1.7976931348623157e308", b"1.7976931348623158e308", b"1.7976931348623159e308", b"1e308", b"1e309", b"-1e309",
    b"1e999", b"9007199254740993", b"9007199254740993.0", b"9223372036854775807", b"9223372036854775808",
    b"-9223372036854775808", b"-9223372036854775809", b"18446744073709551615", b"18446744073709551616", b"9" * 30,
    b"9" * 308, b"1" + b"0" * 308, b"2" + b"0" * 308, b"9" * 309, b"-" + b"9" * 400, b"1" * 4301, b"1" * 310 + b".0",
    b"0." + b"3" * 400, b"123456789012345678901234567890.5", b"0e999", b"0.0000001e-999",
    b"01", b"-", b"+1", b".5", b"1.", b"1e", b"0x10", b"1_000", b"NaN", b"-NaN", b"Infinity", b"-Infinity", b"inf",
]  # fmt: skip
TEXTS = [
    b'""', b'"a"', b'" "', b'"acme"', b'"track"', b'"page"', b'"group"', b'"Track"', b'"\\u0000"', b'"\\u0061"',
    b'"\xc3\xa9"', b'"\\u00e9"', b'"\\ud83d\\ude00"', b'"\xf0\x9f\x98\x80"', b'"\\/"', b'"\\n"', b'"\x7f"',
    b'"2026-03-01T12:34:56.789Z"', b'"2026-03-01T12:34:56+01:00"', b'"2026-02-30T12:34:56Z"', b'"2026-03-01"',
    b'"\\u0032026-03-01T12:34:56Z"', b'"' + b"x" * 300 + b'"', b'"' + b"7" * 400 + b'"',
    b'"\\ud800"', b'"\\udc00"', b'"\\ud800\\ud800"', b'"\\ud800x"', b'"\\uD83D"', b'"\\u12"', b'"\\x41"', b'"\\"',
    b'"\xff"', b'"\xc0\x80"', b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"', b'"\xc3"', b'"\x00"', b'"\x1f"', b'"\n"', b'"',
    b"'a'",
]  # fmt: skip
WORDS = [b"true", b"false", b"null", b"True", b"None", b"nul", b"truee", b"undefined", b"", b"\xff", b"/**/"]
SPACES = [b"", b"", b"", b" ", b"\t", b"\n", b"\r\n", b"\x0b", b"\xc2\xa0", b"\xef\xbb\xbf"]
KEYS = [f'"{name}"'.encode() for name in (*FIELDS, "timestamp_ms", "groupId", "unknown")] + TEXTS

scalars = st.sampled_from(NUMBERS + TEXTS + WORDS)
spaces = st.sampled_from(SPACES)


def arrays(inner: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    commas = st.sampled_from([b",", b",", b",", b", ", b",,", b""])
    ends = st.sampled_from([b"]", b"]", b"]", b",]", b"}", b""])
    return st.builds(
        lambda items, comma, end: b"[" + comma.join(items) + end, st.lists(inner, max_size=4), commas, ends
    )


def objects(inner: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    pairs = st.builds(
        lambda key, before, colon, after, value: key + before + colon + after + value,
        st.sampled_from(KEYS),
        spaces,
        st.sampled_from([b":", b":", b":", b":", b"", b"="]),
        spaces,
        inner,
    )
    ends = st.sampled_from([b"}", b"}", b"}", b"}", b",}", b"]", b""])
    return st.builds(lambda items, end: b"{" + b",".join(items) + end, st.lists(pairs, max_size=6), ends)


fragments = st.recursive(scalars, lambda inner: arrays(inner) | objects(inner), max_leaves=12)

# Records that are events in form, with one or a few fields gone wrong.
good = {
    "type": st.sampled_from([b'"track"', b'"page"', b'"screen"', b'"identify"', b'"group"', b'"alias"']),
    "event": st.sampled_from([b'"report_created"', b'"\\u0061"', b'"\xc3\xa9"']),
    "timestamp": st.sampled_from([b'"2026-03-01T12:34:56.789Z"', b'"2026-03-01 12:34:56-08:00"', b"null"]),
    "context": st.sampled_from([b'{"groupId":"acme"}', b"{}", b'{"library":{"name":"x","version":[1,{"a":[]}]}}']),
    "properties": st.sampled_from(
        [b'{"rows":1200,"share":0.5,"ok":true,"none":null}', b'{"a":{"b":{"c":{"d":[[]]}}}}']
    ),
    "version": st.sampled_from([b"1", b"2.5", b'"1"', b"null"]),
}
pair = st.sampled_from((*FIELDS, "timestamp_ms", "unknown")).flatmap(
    lambda name: st.tuples(st.just(name), good.get(name, st.just(b'"u-17"')) | fragments)
)
events = st.builds(
    lambda first, rest, space: space + b"{" + b",".join(b'"%s":%s' % (k.encode(), v) for k, v in [first, *rest]) + b"}",
    st.tuples(st.just("type"), good["type"]),
    st.lists(pair, max_size=8),
    spaces,
)


@given(events)
@example(b'{"type":"track"}')
@example(b'{"type":"track","event":""}')
@example(b'{"type":"track","event":"e","timestamp":""}')
@example(b'{"type":"track","timestamp":5}')
@example(b'{"type":"nope","timestamp":5}')
@example(b'{"type":"page","type":"nope"}')
@example(b'{"type":"nope","type":"page"}')
@example(b'{"type":"page","userId":5,"userId":"u"}')
@example(b'{"type":"page","userId":"u","userId":5}')
@example(b'{"type":"page","timestamp_ms":7,"timestamp":"2026-03-01T12:34:56Z"}')
@example(b'{"type":"page","unknown":"\xff"}')
@example(b'{"type":"page","unknown":1e999}')
@example(b'{"type":"page","\xff":1}')
@example(b'{"type":"page","type":1e999,"type":"page"}')
@example(b'{"type":"page","name":NaN,"name":"n"}')
@example(b'{"type":"page","properties":{"a":Infinity,"a":1}}')
@example(b'{"type":"page","properties":{"a":%se20,"a":1}}' % (b"9" * 300))
@example(b'{"type":"page","name":"NaN 1e999"}')
@example(b'{"type":"page","context":null,"properties":[],"traits":"x"}')
def test_events_gone_wrong_are_read_the_same(raw: bytes) -> None:
    assert_same(raw)


@given(events)
def test_what_keeps_to_the_published_schema_is_accepted(raw: bytes) -> None:
    """But for what a schema cannot say: bytes, sizes, numbers without end, days that are in no calendar."""
    outcome = by_hot_path(raw)
    if outcome in (RejectReason.UNKNOWN_TYPE, RejectReason.MISSING_EVENT):
        assert not SCHEMA.is_valid(json.loads(raw))


@given(spaces, fragments, spaces)
def test_fragments_of_json_are_read_the_same(before: bytes, raw: bytes, after: bytes) -> None:
    assert_same(before + raw + after)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_the_same(raw: bytes) -> None:
    assert_same(raw)


@given(st.sampled_from(REAL), st.data())
def test_real_events_with_bytes_changed_are_read_the_same(line: bytes, data: st.DataObject) -> None:
    raw = bytearray(line)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(raw)))
        end = data.draw(st.integers(start, min(len(raw), start + 4)))
        raw[start:end] = data.draw(
            st.binary(max_size=3) | st.sampled_from([b'"', b"\\", b"{", b"}", b",", b":", b"\\ud83d"])
        )
    assert_same(bytes(raw))


@given(st.sampled_from(REAL), st.data())
def test_real_events_with_a_value_exchanged_are_read_the_same(line: bytes, data: st.DataObject) -> None:
    values = [match.span(1) for match in re.finditer(rb':("[^"]*"|[0-9.]+|\{[^{}]*\})', line)]
    start, end = data.draw(st.sampled_from(values))
    assert_same(line[:start] + data.draw(fragments) + line[end:])


@given(st.sampled_from(REAL), st.data())
def test_real_events_cut_short_are_refused_by_both(line: bytes, data: st.DataObject) -> None:
    raw = line[: data.draw(st.integers(0, len(line) - 1))]
    assert by_hot_path(raw) == by_model(raw) == RejectReason.NOT_JSON


def test_real_events_are_accepted_by_both() -> None:
    for line in REAL:
        outcome = by_hot_path(line)
        assert isinstance(outcome, dict), line
        assert exactly(outcome) == exactly(by_model(line))


@given(
    st.integers(0, JSON_DEPTH_MAX + 5) | st.integers(150, 1200),
    st.sampled_from(["context", "integrations", "unknown"]),
    st.sampled_from([(b"[", b"]"), (b'{"a":', b"}")]),
    scalars,
)
def test_nesting_is_read_the_same_at_any_depth(
    depth: int, field: str, bracket: tuple[bytes, bytes], leaf: bytes
) -> None:
    left, right = bracket
    inner = leaf if leaf or left != b'{"a":' else b"1"
    assert_same(b'{"type":"page","%s":%s}' % (field.encode(), left * depth + inner + right * depth))


@pytest.mark.parametrize("field", ["context", "integrations", "unknown"])
def test_the_depth_limit_is_exact(field: str) -> None:
    def nested(containers: int) -> bytes:
        return b'{"type":"page","%s":%s}' % (field.encode(), b'{"a":' * containers + b"1" + b"}" * containers)

    for containers in (1, PLAIN_DEPTH, PLAIN_DEPTH + 1, JSON_DEPTH_MAX - 1):
        assert isinstance(by_hot_path(nested(containers)), dict)
        assert_same(nested(containers))
    for containers in (JSON_DEPTH_MAX, JSON_DEPTH_MAX + 1, 250, 5_000, 100_000):
        assert by_hot_path(nested(containers)) == by_model(nested(containers)) == RejectReason.TOO_DEEP


def test_the_key_limit_is_exact() -> None:
    def keyed(keys: int) -> bytes:
        return msgspec.json.encode({"type": "page", "properties": {f"{key}": 0 for key in range(keys - 2)}})

    assert isinstance(by_hot_path(keyed(JSON_KEYS_MAX)), dict)
    assert_same(keyed(JSON_KEYS_MAX))
    assert by_hot_path(keyed(JSON_KEYS_MAX + 1)) == by_model(keyed(JSON_KEYS_MAX + 1)) == RejectReason.TOO_MANY_KEYS


def test_the_size_limit_is_exact() -> None:
    def sized(size_bytes: int) -> bytes:
        empty = b'{"type":"page","name":""}'
        return empty[:-2] + b"x" * (size_bytes - len(empty)) + empty[-2:]

    assert isinstance(by_hot_path(sized(RECORD_BYTES_MAX)), dict)
    assert_same(sized(RECORD_BYTES_MAX))
    too_large = sized(RECORD_BYTES_MAX + 1)
    assert by_hot_path(too_large) == by_model(too_large) == RejectReason.TOO_LARGE


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("field", ["properties", "unknown", "version", "integrations"])
def test_numbers_are_read_the_same(number: bytes, field: str) -> None:
    value = b'{"n":%s}' % number if field == "properties" else number
    assert_same(b'{"type":"page","%s":%s}' % (field.encode(), value))


def test_the_struct_shows_mypy_the_fields_it_has() -> None:
    """The class that stands in for the derived type when types are checked may lack fields, but has no other."""
    shown = next(
        node
        for node in ast.walk(ast.parse(inspect.getsource(wire_event)))
        if isinstance(node, ast.ClassDef) and node.name == "WireEvent"
    )
    names = [
        node.target.id for node in shown.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    ]
    assert set(names) <= set(WireEvent.__struct_fields__)
    assert set(names) - {"timestamp_ms"} == {"type", "timestamp", *readers(Event)}
    assert WireEvent.__struct_fields__ == (*FIELDS, "timestamp_ms")
