"""Intake accounts for every record exactly once, whatever it is, and lets nobody outside pretend to be Pegel."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.dead_letter import DeadLetter, Rejected
from schemas.wire import decode_event
from streams.intake.agent import stage_spec
from streams.runtime.stage import Output, Stage
from streams.settings import IntakeSettings, Settings
from streams.topics import Topics

TOPICS = Topics()
SETTINGS = Settings(intake=IntakeSettings(account_property="properties.org", reject_ratio_max=1))


@dataclass(frozen=True)
class Record:
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


ids = st.sampled_from(["a", "b", "c", "", "\0rejects", "é" * 255, "x" * 256]) | st.none() | st.integers()
calls = st.fixed_dictionaries(
    {"type": st.sampled_from(["track", "page", "group", "identify", "alias", "other"])},
    optional={
        "event": st.sampled_from(["e", ""]),
        "userId": ids,
        "anonymousId": ids,
        "previousId": ids,
        "groupId": ids,
        "context": st.fixed_dictionaries({}, optional={"groupId": ids}) | st.none(),
        "properties": st.fixed_dictionaries({}, optional={"org": ids}),
    },
)
values = calls.map(lambda call: json.dumps(call).encode()) | st.binary(max_size=10) | st.none()
headers = st.lists(
    st.tuples(
        st.sampled_from(["pegel-control", "Pegel-Reason", "pegel-original-offset", "traceparent", "x"]),
        st.sampled_from([None, b"", b"clock"]),
    ),
    max_size=3,
)
logs = st.lists(st.tuples(st.integers(0, 2**41), st.none() | st.binary(max_size=4), values, headers), max_size=30).map(
    lambda rows: [Record(offset, *row) for offset, row in enumerate(rows)]
)


def stage() -> Stage:
    return stage_spec(SETTINGS, TOPICS).factory(0)


@given(logs)
def test_every_record_leaves_exactly_once_and_in_order(log: list[Record]) -> None:
    one = stage()
    one.apply(log)
    outputs = one.drain().outputs
    assert len(outputs) == len(log)
    for record, output in zip(log, outputs, strict=True):
        assert output.value == record.value
        if output.topic == TOPICS.account_events:
            assert_accepted(record, output)
        else:
            assert output.topic == TOPICS.product_events_dlq
            letter = DeadLetter.from_headers(output.headers)
            assert (letter.original_offset, output.key) == (record.offset, record.key)
    counts = one.counts
    rejected = sum(number for name, number in counts.items() if name.startswith("rejected:"))
    resolved = sum(number for name, number in counts.items() if name.startswith("accounts_resolved:"))
    assert rejected + resolved == len(log)


def assert_accepted(record: Record, output: Output) -> None:
    assert record.value is not None
    decode_event(record.value)
    assert output.timestamp_ms == record.timestamp
    assert output.key is not None
    assert 1 <= len(output.key.decode()) <= 255
    assert not any(name.lower().startswith("pegel-") for name, _ in output.headers)


@given(logs, st.data())
def test_restarts_and_batches_change_nothing(log: list[Record], data: st.DataObject) -> None:
    """However the log is cut into batches, and wherever a new stage takes over from the changelog of the last."""
    whole = stage()
    whole.apply(log)
    changelog: list[tuple[bytes, bytes | None]] = []
    outputs: list[Output] = []
    one, at = stage(), 0
    while at < len(log):
        end = data.draw(st.integers(at + 1, len(log)))
        one.apply(log[at:end])
        at = end
        if data.draw(st.booleans()):
            drained = one.drain()
            outputs += drained.outputs
            changelog += drained.changes
            one = stage()
            for key, value in changelog:
                one.restore(key, value)
            one.restored()
    drained = one.drain()
    assert outputs + drained.outputs == whole.drain().outputs
    assert users(changelog + drained.changes) == users_of(log)


def users(changelog: list[tuple[bytes, bytes | None]]) -> dict[str, str]:
    found = {
        key.decode(): value.decode() for key, value in changelog if value is not None and not key.startswith(b"\0")
    }
    assert all(found.values())
    return found


def users_of(log: list[Record]) -> dict[str, str]:
    """Where users belong, by a plain reading of the rules."""
    known: dict[str, str] = {}
    for record in log:
        call = read(record.value)
        if call is None:
            continue
        user, anonymous, previous = (text(call.get(name)) for name in ("userId", "anonymousId", "previousId"))
        stated = stated_by(call)
        if stated is not None and len(stated) > 255:
            continue
        if call["type"] == "group" and stated is not None:
            known |= {one: stated for one in (user, anonymous) if one is not None and learnable(one)}
        if call["type"] == "alias" and user is not None and learnable(user) and previous in known:
            known.setdefault(user, known[previous])
    return known


def read(value: bytes | None) -> dict[str, Any] | None:
    try:
        decode_event(value or b"")
    except Rejected:
        return None
    call: dict[str, Any] = json.loads(value or b"")
    return call


def stated_by(call: dict[str, Any]) -> str | None:
    places = [call.get("groupId")] if call["type"] == "group" else []
    places += [(call.get("context") or {}).get("groupId"), (call.get("properties") or {}).get("org")]
    return next((one for one in map(text, places) if one is not None), None)


def text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def learnable(user: str) -> bool:
    return len(user) <= 255 and not user.startswith("\0")
