import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.dead_letter import Rejected
from schemas.wire import decode_event
from streams.engine.record import Record, account_of_key, file_arrival, record_of, team_of
from streams.limits import ACCOUNT_ID_CHARS_MAX, MESSAGE_ID_CHARS_MAX
from tests.unit.engine.building import START


def record(arrival: int = START, **fields: Any) -> Record:
    raw = json.dumps({"type": "track", "event": "a"} | fields).encode()
    return record_of(decode_event(raw), raw, arrival)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"event": "page"}, "page"),
        ({"event": "x"}, "x"),
        ({"type": "page", "event": "x", "name": "Home"}, "page"),
        ({"type": "screen", "event": None}, "screen"),
        ({"type": "group"}, "group"),
    ],
)
def test_pages_and_screens_count_under_their_type(fields: dict[str, Any], name: str) -> None:
    assert record(**fields).name == name


@pytest.mark.parametrize(
    ("fields", "user"),
    [
        ({"userId": "u", "anonymousId": "n"}, "u"),
        ({"userId": "", "anonymousId": "n"}, "n"),
        ({"userId": 7, "anonymousId": "n"}, "n"),
        ({"userId": None}, None),
        ({"anonymousId": ""}, None),
    ],
)
def test_a_user_is_a_user_id_else_an_anonymous_id(fields: dict[str, Any], user: str | None) -> None:
    assert record(**fields).user == user


@pytest.mark.parametrize(
    ("fields", "t"),
    [
        ({"timestamp": "1970-01-01T00:00:01Z", "originalTimestamp": "1970-01-01T00:00:02Z"}, 1_000),
        ({"timestamp": None, "originalTimestamp": "1970-01-01T00:00:02Z"}, 2_000),
        ({"originalTimestamp": "soon", "receivedAt": "1970-01-01T00:00:03Z"}, 3_000),
        ({"receivedAt": 5}, START),
        ({}, START),
    ],
)
def test_the_time_is_the_first_that_can_be_read(fields: dict[str, Any], t: int) -> None:
    found = record(**fields)
    assert (found.t, found.a) == (t, START)


@pytest.mark.parametrize(
    ("fields", "arrival"),
    [
        ({"receivedAt": "1970-01-01T00:00:03Z", "timestamp": "1970-01-01T00:00:01Z"}, 3_000),
        ({"receivedAt": "soon", "timestamp": "1970-01-01T00:00:01Z"}, 1_000),
        ({"originalTimestamp": "1970-01-01T00:00:02Z"}, None),
    ],
)
def test_in_files_arrival_is_received_at_else_timestamp(fields: dict[str, Any], arrival: int | None) -> None:
    assert file_arrival(record(**fields).event) == arrival


# --- identity ---


def test_a_message_id_decides_alone() -> None:
    one, other = record(messageId="m", event="a"), record(messageId="m", event="b", userId="u")
    assert one.digest == other.digest
    assert one.message_id == "m"
    assert one.digest != record(messageId="n", event="a").digest


def test_a_long_id_is_shown_cut_and_told_apart_whole() -> None:
    one, other = record(messageId="m" * 900_000 + "1"), record(messageId="m" * 900_000 + "2")
    assert one.message_id == other.message_id == "m" * MESSAGE_ID_CHARS_MAX
    assert one.digest != other.digest


def test_without_an_id_equal_json_is_equal_whatever_its_formatting() -> None:
    raws = [
        b'{"type":"track","event":"a","properties":{"x":1,"y":"\xc3\xa9"}}',
        b' { "event" : "a", "properties" : {"y":"\\u00e9", "x" : 1}, "type":"track" }\n',
    ]
    found = {record_of(decode_event(raw), raw, START).digest for raw in raws}
    assert len(found) == 1


@pytest.mark.parametrize("empty", [None, "", 17])
def test_an_id_of_no_text_is_none(empty: Any) -> None:
    assert record(messageId=empty).message_id == record(messageId=empty).message_id
    assert record(messageId=empty, event="a").digest != record(messageId=empty, event="b").digest


plain = st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
json_values = st.recursive(
    plain | st.integers(-(2**63), 2**64 - 1),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=4), json_values, max_size=3))
def test_every_readable_record_has_an_identity(properties: dict[str, Any]) -> None:
    """Whatever JSON it is: huge numbers, odd characters, keys in any order."""
    shuffled = dict(reversed(properties.items()))
    one, other = record(properties=properties), record(properties=shuffled)
    assert one.digest == other.digest
    assert len(one.message_id) == 16


def test_a_huge_number_does_not_stop_the_identity() -> None:
    assert record(properties={"n": 10**40}).digest


# --- keys and paths ---


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (None, "missing_account"),
        (b"", "missing_account"),
        (b"\xff", "not_utf8"),
        (b"x" * (ACCOUNT_ID_CHARS_MAX + 1), "account_too_long"),
    ],
)
def test_a_key_that_names_no_account_is_refused(key: bytes | None, reason: str) -> None:
    with pytest.raises(Rejected) as caught:
        account_of_key(key)
    assert caught.value.reason == reason


def test_a_key_is_the_account_in_utf8() -> None:
    assert account_of_key("čapek".encode()) == "čapek"
    longest = "č" * ACCOUNT_ID_CHARS_MAX
    assert account_of_key(longest.encode()) == longest


@pytest.mark.parametrize(
    ("properties", "path", "team"),
    [
        ({"team": "red"}, "team", "red"),
        ({"team": ""}, "team", None),
        ({"team": 7}, "team", None),
        ({"team": None}, "team", None),
        ({}, "team", None),
        ({"org": {"unit": "blue"}}, "org.unit", "blue"),
        ({"org": "blue"}, "org.unit", None),
    ],
)
def test_a_team_is_a_text_at_its_path(properties: dict[str, Any], path: str, team: str | None) -> None:
    assert team_of(properties, tuple(path.split("."))) == team
