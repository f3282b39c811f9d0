"""What the engine writes is, byte for byte, what the encoder makes of the objects that readers read."""

import uuid
from typing import Any, get_args

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.event import EventType
from schemas.membership import WireMembership, WireSegmentMembership, decode_membership
from schemas.timestamps import YEAR_1_MS, YEAR_9999_END_MS, format_ms
from schemas.transition import (
    CE_SOURCE,
    CE_TYPE,
    Direction,
    WireForecast,
    WireTransition,
    WireTrigger,
    decode_transition,
    encode_transition,
)
from streams.engine.account import Account, account_of
from streams.engine.found import Cause, Forecast, Transition
from streams.engine.outgoing import TRANSITION_NAMESPACE, emitted, membership_value, told, transition_headers
from streams.engine.program import Program
from streams.engine.working import Working
from tests.unit.engine.building import program_of

HOSTILE = st.sampled_from(
    ['"', "\\", '","segment":"', "\n", "\x00\x1f\x7f", "é", "\u2028", "😀", "</script>", "%b", ""]
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | HOSTILE
# Beyond any year that can be read, but no further than whole numbers are divided exactly.
TIMES = st.integers(YEAR_1_MS, YEAR_9999_END_MS) | st.integers(-(2**51), 2**51)
NUMBERS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats()
EVIDENCE = st.recursive(NUMBERS | TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=10)
TRIGGERS = st.sampled_from(get_args(Cause)) | st.tuples(TEXTS, st.sampled_from(get_args(EventType)))
FORECASTS = st.builds(Forecast, TIMES, st.sampled_from(["exited", "moved"]), st.none() | TEXTS)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "account_id": TEXTS,
    "segment": TEXTS,
    "direction": st.sampled_from(["entered", "exited", "moved"]),
    "group": st.none() | TEXTS,
    "from_segment": st.none() | TEXTS,
    "effective_at": TIMES,
    "sequence": st.integers(0, 2_000) | st.integers(0, 2**63 - 1),
    "catalog_version": TEXTS,
    "evidence": st.dictionaries(TEXTS, EVIDENCE),
    "trigger": TRIGGERS,
    "entered_at": st.none() | TIMES,
    "forecast": st.none() | FORECASTS,
}
TRANSITIONS = st.builds(Transition, **FIELDS)


def object_of(found: Transition, emitted_at_ms: int | None) -> WireTransition:
    """The same as an object, made in the plainest way."""
    trigger, at, entered_at, forecast = found.trigger, found.effective_at, found.entered_at, found.forecast
    name = f"{found.account_id}\n{found.sequence}\n{found.segment}\n{found.direction}\n{at}"
    return WireTransition(
        transition_id=str(uuid.uuid5(TRANSITION_NAMESPACE, name)),
        account_id=found.account_id,
        segment=found.segment,
        direction=Direction(found.direction),
        group=found.group,
        from_segment=found.from_segment,
        effective_at=format_ms(at),
        sequence=found.sequence,
        catalog_version=found.catalog_version,
        evidence=found.evidence,
        trigger=trigger if isinstance(trigger, str) else WireTrigger(message_id=trigger[0], type=trigger[1]),
        entered_at=None if entered_at is None else format_ms(entered_at),
        dwell_seconds=None if entered_at is None else (at - entered_at) / 1000,
        forecast=None
        if forecast is None
        else WireForecast(leaves_at=format_ms(forecast.leaves_at), direction=Direction(forecast.direction)),
        emitted_at=None if emitted_at_ms is None else format_ms(emitted_at_ms),
    )


@given(st.lists(TRANSITIONS, min_size=1, max_size=4), st.none() | TIMES)
def test_every_byte_of_a_transition_is_the_encoders(transitions: list[Transition], emitted_at_ms: int | None) -> None:
    ending = emitted(emitted_at_ms)
    for found in transitions:
        assert told(found, ending).value == encode_transition(object_of(found, emitted_at_ms))


@given(TRANSITIONS, st.data())
def test_nothing_kept_from_one_transition_shows_in_the_next(first: Transition, data: st.DataObject) -> None:
    """Whichever of its fields is another."""
    second = data.draw(TRANSITIONS)
    fields = {name: getattr(first, name) for name in FIELDS}
    for name in FIELDS:
        changed = Transition(**{**fields, name: getattr(second, name)})
        for found in (first, changed, first):
            assert told(found, emitted(None)).value == encode_transition(object_of(found, None))


@given(TRANSITIONS)
def test_the_headers_say_what_the_value_says(found: Transition) -> None:
    written = told(found, emitted(None))
    read = decode_transition(written.value)
    assert transition_headers(written.transition_id, written.effective_at, written.account_id) == [
        ("ce_specversion", b"1.0"),
        ("ce_type", CE_TYPE.encode()),
        ("ce_source", CE_SOURCE.encode()),
        ("content-type", b"application/json"),
        ("ce_id", read.transition_id.encode()),
        ("ce_time", read.effective_at.encode()),
        ("ce_subject", read.account_id.encode()),
    ]


PROGRAMS = [
    program_of("True"),
    program_of(
        {"id": "fresh", "when": "mrr < 4"},
        {"id": "low", "group": "tier", "when": "mrr < 10"},
        {"id": "high", "group": "tier", "when": "mrr >= 10"},
        definitions={"double": "mrr * 2", "lost": "seats * 2", "endless": "since(cancelled_at)"},
    ),
]
TRAITS = st.dictionaries(st.sampled_from(["mrr", "seats"]), st.tuples(TIMES, st.integers(0, 2**64 - 1) | st.floats()))


@st.composite
def standings(draw: st.DrawFn) -> tuple[Account, Program]:
    program = draw(st.sampled_from(PROGRAMS))
    members = draw(st.dictionaries(st.sampled_from([*program.ids, "of another catalog"]), TIMES))
    account = account_of(
        now=draw(st.integers(0, YEAR_9999_END_MS)),
        first_seen=draw(TIMES),
        last_active=draw(TIMES),
        sequence=draw(st.integers(0, 5_000)),
        members=members,
        traits=draw(TRAITS),
    )
    return account, program


@given(TEXTS, standings())
@example('"\\\n', (account_of(now=0), PROGRAMS[0]))
def test_every_byte_of_a_membership_is_the_encoders(account_id: str, standing: tuple[Account, Program]) -> None:
    account, program = standing
    working = Working(program, account)
    numbers: dict[str, Any] = {
        "activation_rate": working.activation_rate,
        "last_active_at": format_ms(working.last_active_at),
        "mrr": working.mrr,
        "nps": working.nps,
        "usage_ratio": working.usage_ratio,
        **program.definitions(account, working, account.now, working.members),
    }
    wanted = WireMembership(
        account_id=account_id,
        as_of=format_ms(account.now),
        stage=working.stage(account.now),
        sequence=account.sequence,
        segments=[
            WireSegmentMembership(segment=one.id, group=one.group, entered_at=format_ms(account.members[one.id]))
            for one in program.segments
            if one.id in account.members
        ],
        key_numbers=numbers,
        catalog_version=program.version,
    )
    written = membership_value(account_id, account, working)
    assert written == msgspec.json.encode(wanted)
    assert decode_membership(written).sequence == account.sequence
