"""What is accepted, what is refused and why: the same table for both readers."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.dead_letter import DETAIL_CHARS_MAX, Rejected, RejectReason
from schemas.event import Event, ignored_fields, read_event
from schemas.wire import decode_event, event_time_ms
from schemas.wire_event import WireEvent

Reader = Callable[[bytes], Any]


@pytest.fixture(params=[decode_event, read_event], ids=["hot path", "model"])
def read(request: pytest.FixtureRequest) -> Reader:
    reader: Reader = request.param
    return reader


def event(**fields: Any) -> bytes:
    return json.dumps({"type": "track", "event": "report_created", **fields}).encode()


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", RejectReason.NOT_JSON),
        (b"{", RejectReason.NOT_JSON),
        (b'{"type":"page"', RejectReason.NOT_JSON),
        (b'{"type":"page"}}', RejectReason.NOT_JSON),
        (b'{"type":"page"}\x00', RejectReason.NOT_JSON),
        (b'\xef\xbb\xbf{"type":"page"}', RejectReason.NOT_JSON),
        (b'{"type":"page","properties":{"n":NaN}}', RejectReason.NOT_JSON),
        (b'{"type":"page","properties":{"n":-Infinity}}', RejectReason.NOT_JSON),
        (b'{"type":"page","properties":{"n":1e999}}', RejectReason.NOT_JSON),
        (b'{"type":"page","properties":{"n":%s}}' % (b"9" * 309), RejectReason.NOT_JSON),
        (b'{"type":"page","properties":{"n":%s}}' % (b"9" * 5_000), RejectReason.NOT_JSON),
        (b'{"type":"page","name":"\\ud800"}', RejectReason.NOT_JSON),
        (b'{"type":"page","unknown":"\\ud800"}', RejectReason.NOT_JSON),
        (b"{'type':'page'}", RejectReason.NOT_JSON),
        (b'{"type":"page","name":"\xff"}', RejectReason.NOT_UTF8),
        (b'{"type":"page","unknown":"\xff"}', RejectReason.NOT_UTF8),
        (b"\xff", RejectReason.NOT_UTF8),
        ('{"type":"page"}'.encode("utf-16"), RejectReason.NOT_UTF8),
        (b"null", RejectReason.NOT_AN_OBJECT),
        (b"5", RejectReason.NOT_AN_OBJECT),
        (b'"track"', RejectReason.NOT_AN_OBJECT),
        (b'[{"type":"page"}]', RejectReason.NOT_AN_OBJECT),
        (b"{}", RejectReason.UNKNOWN_TYPE),
        (b'{"type":null}', RejectReason.UNKNOWN_TYPE),
        (b'{"type":5}', RejectReason.UNKNOWN_TYPE),
        (b'{"type":["page"]}', RejectReason.UNKNOWN_TYPE),
        (b'{"type":{}}', RejectReason.UNKNOWN_TYPE),
        (b'{"type":"Track","event":"e"}', RejectReason.UNKNOWN_TYPE),
        (b'{"type":"track "}', RejectReason.UNKNOWN_TYPE),
        (b'{"type":"track"}', RejectReason.MISSING_EVENT),
        (b'{"type":"track","event":null}', RejectReason.MISSING_EVENT),
        (b'{"type":"track","event":""}', RejectReason.MISSING_EVENT),
        (b'{"type":"track","event":7}', RejectReason.MISSING_EVENT),
        (event(timestamp=""), RejectReason.UNREADABLE_TIMESTAMP),
        (event(timestamp="yesterday"), RejectReason.UNREADABLE_TIMESTAMP),
        (event(timestamp="2026-03-01T12:34:56"), RejectReason.UNREADABLE_TIMESTAMP),
        (event(timestamp="2026-02-29T12:34:56Z"), RejectReason.UNREADABLE_TIMESTAMP),
        (event(timestamp=1772368496789), RejectReason.UNREADABLE_TIMESTAMP),
        (event(timestamp=False), RejectReason.UNREADABLE_TIMESTAMP),
        (event(timestamp={}), RejectReason.UNREADABLE_TIMESTAMP),
        (b'{"type":"track","timestamp":""}', RejectReason.UNREADABLE_TIMESTAMP),
    ],
)
def test_a_record_is_refused_with_its_reason(read: Reader, raw: bytes, reason: RejectReason) -> None:
    with pytest.raises(Rejected) as caught:
        read(raw)
    assert caught.value.reason == reason
    assert 0 < len(caught.value.detail) <= DETAIL_CHARS_MAX


@pytest.mark.parametrize("type_", ["page", "screen", "identify", "group", "alias"])
def test_only_track_calls_need_an_event(read: Reader, type_: str) -> None:
    assert read(json.dumps({"type": type_}).encode()).type == type_


@pytest.mark.parametrize("value", [None, "", 5, 1.5, True, [], ["u"], {}, {"id": "u"}])
@pytest.mark.parametrize(
    "field",
    [
        "messageId",
        "userId",
        "anonymousId",
        "name",
        "groupId",
        "previousId",
        "originalTimestamp",
        "receivedAt",
        "sentAt",
    ],
)
def test_a_text_of_another_type_or_empty_is_unknown(read: Reader, field: str, value: Any) -> None:
    assert getattr(read(event(**{field: value})), field) is None


@pytest.mark.parametrize("value", [None, "", "x", 5, True, [], [{}]])
@pytest.mark.parametrize("field", ["context", "properties", "traits"])
def test_an_object_of_another_type_is_empty(read: Reader, field: str, value: Any) -> None:
    assert getattr(read(event(**{field: value})), field) == {}


@pytest.mark.parametrize(
    ("value", "kept"), [(1, 1), (2.5, 2.5), ("1", "1"), ("", ""), (None, None), (True, None), ([], None), ({}, None)]
)
def test_the_version_is_a_number_or_a_text(read: Reader, value: Any, kept: Any) -> None:
    assert repr(read(event(version=value)).version) == repr(kept)


def test_other_times_than_the_timestamp_need_not_be_readable(read: Reader) -> None:
    assert read(event(originalTimestamp="?", receivedAt="?", sentAt="?")).receivedAt == "?"


def test_unknown_fields_do_no_harm_and_the_model_keeps_them(read: Reader) -> None:
    raw = event(userId="u", sourceId=[1, {"a": None}], timestamp_ms=7)
    assert read(raw).userId == "u"
    assert read_event(raw).model_extra == {"sourceId": [1, {"a": None}], "timestamp_ms": 7}


def test_the_last_of_equal_keys_counts(read: Reader) -> None:
    assert read(b'{"type":"page","userId":"a","userId":"b"}').userId == "b"
    assert read(b'{"type":"page","userId":"a","userId":5}').userId is None
    assert read(b'{"type":5,"userId":"a","type":"page"}').type == "page"


def test_white_space_around_a_record_is_allowed(read: Reader) -> None:
    assert read(b' \t\r\n{"type" : "page"}\n').type == "page"


def test_texts_are_kept_to_the_character(read: Reader) -> None:
    name = "Ä\u0000\u2028\U0001f600 ''"
    assert read(event(name=name)).name == name


@pytest.mark.parametrize(
    "secret",
    [
        b'{"type":"secret-17"}',
        b'{"secret-17"',
        b'{"type":"track","timestamp":"secret-17"}',
        b'["secret-17"]',
        b"secret-17",
    ],
)
def test_a_refusal_does_not_quote_the_record(read: Reader, secret: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        read(secret)
    assert "17" not in str(caught.value)


def test_the_timestamp_comes_as_a_number_too() -> None:
    assert decode_event(event(timestamp="1970-01-01T00:00:01.5Z")).timestamp_ms == 1_500
    assert decode_event(event()).timestamp_ms is None


@pytest.mark.parametrize("claimed", [7, "7", None, -1])
def test_nobody_outside_can_set_the_number(claimed: Any) -> None:
    assert decode_event(event(timestamp_ms=claimed)).timestamp_ms is None
    assert decode_event(event(timestamp="1970-01-01T00:00:01Z", timestamp_ms=claimed)).timestamp_ms == 1_000


@pytest.mark.parametrize(
    ("fields", "ms"),
    [
        ({"timestamp": "1970-01-01T00:00:01Z", "originalTimestamp": "1970-01-01T00:00:02Z"}, 1_000),
        ({"originalTimestamp": "1970-01-01T00:00:02Z", "receivedAt": "1970-01-01T00:00:03Z"}, 2_000),
        ({"timestamp": None, "originalTimestamp": "?", "receivedAt": "1970-01-01T00:00:03Z"}, 3_000),
        ({"sentAt": "1970-01-01T00:00:04Z"}, 5_000),
        ({"receivedAt": "1970-01-01T00:00:03"}, 5_000),
        ({"timestamp": "1970-01-01T00:00:00Z"}, 0),
        ({}, 5_000),
    ],
)
def test_event_time_is_the_first_that_can_be_read(fields: dict[str, Any], ms: int) -> None:
    assert event_time_ms(decode_event(event(**fields)), kafka_ms=5_000) == ms


@pytest.mark.parametrize(
    "raw", [b"[]", b'{"type":"page","name":1e999}', b'{"type":"page","name":NaN}', b'{"type":"track"}']
)
def test_the_model_refuses_by_itself(raw: bytes) -> None:
    """Also without `read_event`: whoever has the model has the contract."""
    with pytest.raises(ValidationError):
        Event.model_validate_json(raw)


def test_the_model_can_be_built_in_python() -> None:
    assert Event(type="track", event="e", timestamp=None).timestamp is None


def test_two_events_share_no_default() -> None:
    first, second = decode_event(event()), decode_event(event())
    first.properties["a"] = 1
    assert second.properties == {}
    assert isinstance(first, WireEvent)


def test_fields_that_count_as_not_sent_can_be_named() -> None:
    fields = {
        "userId": 5,
        "anonymousId": "",
        "name": None,
        "context": [],
        "receivedAt": "?",
        "sentAt": 7,
        "version": True,
    }
    assert set(ignored_fields(fields)) == {"userId", "anonymousId", "context", "receivedAt", "sentAt", "version"}
    example = Event.model_config["json_schema_extra"]
    assert isinstance(example, dict)
    assert ignored_fields({"type": "track", "event": "e", "receivedAt": "2026-03-01T12:34:56Z", "version": 1.5}) == []
