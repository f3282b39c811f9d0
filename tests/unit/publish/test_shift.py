"""Laws of shifting times."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.timestamps import format_ms, parse_ms
from streams.publish.shift import shifted

DAY_MS = 86_400_000
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
TIMES = st.integers(0, 4_000_000_000_000).map(format_ms)


def moved(fields: dict[str, Any], by_ms: int) -> Any:
    return json.loads(shifted(fields, by_ms))


def test_the_own_times_and_all_dates_of_the_carriers_move_by_the_same() -> None:
    event = {
        "type": "group",
        "timestamp": "2026-01-01T00:00:00.000Z",
        "originalTimestamp": "2026-01-01T01:00:00+01:00",
        "receivedAt": "2026-01-01T00:00:01Z",
        "sentAt": "2026-01-01T00:00:00.5Z",
        "traits": {
            "createdAt": "2025-12-01T00:00:00.000Z",
            "plan": "pro",
            "seats": 5,
            "deal": {"renewsAt": ["2027-01-01T00:00:00Z"]},
        },
        "properties": {"due": "2026-02-01T00:00:00.000Z"},
        "context": {"groupId": "2026-01-01", "traits": {"since": "2026-01-01T00:00:00Z"}},
    }

    assert moved(event, DAY_MS) == {
        "type": "group",
        "timestamp": "2026-01-02T00:00:00.000Z",
        "originalTimestamp": "2026-01-02T00:00:00.000Z",
        "receivedAt": "2026-01-02T00:00:01.000Z",
        "sentAt": "2026-01-02T00:00:00.500Z",
        "traits": {
            "createdAt": "2025-12-02T00:00:00.000Z",
            "plan": "pro",
            "seats": 5,
            "deal": {"renewsAt": ["2027-01-02T00:00:00.000Z"]},
        },
        "properties": {"due": "2026-02-02T00:00:00.000Z"},
        "context": {"groupId": "2026-01-01", "traits": {"since": "2026-01-02T00:00:00.000Z"}},
    }


def test_ids_and_names_never_move_even_if_they_look_like_times() -> None:
    event = {"messageId": "2026-01-01T00:00:00Z", "userId": "2026-01-01T00:00:00Z", "event": "2026-01-01T00:00:00Z"}

    assert moved(event, DAY_MS) == event


def test_a_time_that_would_leave_the_calendar_stays() -> None:
    event = {"timestamp": "9999-12-31T00:00:00Z", "traits": {"never": "0001-01-01T00:00:00Z"}}

    assert moved(event, DAY_MS)["timestamp"] == "9999-12-31T00:00:00Z"
    assert moved(event, -DAY_MS)["traits"]["never"] == "0001-01-01T00:00:00Z"


def test_nesting_beyond_the_limit_is_left_as_it_is() -> None:
    deep: Any = "2026-01-01T00:00:00Z"
    for _ in range(100):
        deep = [deep]

    assert moved({"properties": {"deep": deep}}, DAY_MS)["properties"]["deep"] == deep


@given(st.dictionaries(st.text(), JSON, max_size=4), TIMES, st.integers(-(10**11), 10**11))
def test_there_and_back_is_the_same_event(properties: dict[str, Any], time: str, by_ms: int) -> None:
    event = {"type": "track", "timestamp": time, "traits": {"at": time}, "properties": properties}

    there = moved(event, by_ms)
    back = moved(there, -by_ms)

    at_ms = parse_ms(time)
    assert at_ms is not None
    assert parse_ms(there["timestamp"]) == at_ms + by_ms == parse_ms(there["traits"]["at"])
    assert back == event


@given(st.dictionaries(st.sampled_from(["timestamp", "traits", "properties", "context", "x"]), JSON))
def test_whatever_the_fields_hold_shifting_keeps_names_and_order(fields: dict[str, Any]) -> None:
    assert list(moved(fields, DAY_MS)) == list(fields)
