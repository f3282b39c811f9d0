"""The story of one account: what is known of it, where it was and why, where it is, and what would change that.

Made of an account's state as of one moment and its transitions up to then. The structs are what `pegel explain --json`
writes: field names are stable, times are RFC 3339, what is unknown is null, and a time that never was or never will be
("since" of it) is the text "never".
"""

import math
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from schemas.timestamps import format_ms
from streams.engine.account import Account
from streams.engine.explain import Part, RuleState, SegmentState, explain
from streams.engine.found import Forecast, Transition
from streams.engine.working import Working

EVENT_NAMES_TOLD_MAX: Final = 20
PLACES: Final = 6


class ForecastTold(msgspec.Struct):
    leaves_at: str
    direction: str
    to: str | None


class StepTold(msgspec.Struct):
    """A step of the activation checklist."""

    event: str
    needed: int
    count: int
    done_at: str | None


class Facts(msgspec.Struct, kw_only=True):
    stage: str
    signed_up_at: str
    trial_ends_at: str
    converted_at: str | None
    cancelled_at: str | None
    activated: bool
    activated_at: str | None
    activation_rate: float
    checklist: list[StepTold]
    last_active_at: str
    first_value_at: str | None
    plan: str | None
    mrr: float | None
    seats: float | None
    usage_ratio: float | None
    nps: float | None
    users: int
    teams: int
    activity: int
    events: dict[str, int]
    definitions: dict[str, Any]


class MembershipTold(msgspec.Struct, kw_only=True):
    """One stay in a segment. `because` tells what let it be entered or left, and what the conditions saw."""

    segment: str
    group: str | None
    entered_at: str
    entered_from: str | None
    entered_because: dict[str, Any]
    left_at: str | None
    left_to: str | None
    left_because: dict[str, Any] | None
    dwell_seconds: float


class MissingTold(msgspec.Struct):
    reading: str
    have: float
    need: float
    amount: float


class PartTold(msgspec.Struct):
    text: str
    holds: bool
    values: dict[str, Any]
    missing: MissingTold | None
    turns_at: str | None
    change: str | None


class RuleTold(msgspec.Struct):
    text: str
    holds: bool
    needs: str
    parts: list[PartTold]
    turns_at: str | None


class SegmentTold(msgspec.Struct, kw_only=True):
    segment: str
    name: str
    group: str | None
    member: bool
    entered_at: str | None
    forecast: ForecastTold | None
    enters_at: str | None
    waits_until: str | None
    when: RuleTold
    exit_when: RuleTold | None


class Story(msgspec.Struct):
    account_id: str
    as_of: str
    catalog: str
    catalog_version: str
    facts: Facts
    memberships: list[MembershipTold]
    segments: list[SegmentTold]


def story_of(
    account_id: str, account: Account, working: Working, transitions: Sequence[Transition], at_ms: int
) -> Story:
    """The story as of `at_ms`, to which the account has been brought; `transitions` are the account's, in order."""
    program = working.program
    return Story(
        account_id=account_id,
        as_of=format_ms(at_ms),
        catalog=program.catalog.name,
        catalog_version=program.version,
        facts=_facts(account, working, at_ms),
        memberships=_memberships(transitions, at_ms),
        segments=[_segment(state) for state in explain(account, working, at_ms)],
    )


def _facts(account: Account, working: Working, at_ms: int) -> Facts:
    program = working.program
    working.roll(program.calendar.day_of(max(account.now, at_ms)))
    definitions = program.definitions(account, working, max(account.now, at_ms), working.members)
    most = sorted(account.events, key=lambda name: -account.events[name].total)[:EVENT_NAMES_TOLD_MAX]
    return Facts(
        stage=working.stage(max(account.now, at_ms)),
        signed_up_at=format_ms(working.signed_up_at),
        trial_ends_at=format_ms(working.trial_ends_at),
        converted_at=_time(working.converted_at),
        cancelled_at=_time(working.cancelled_at),
        activated=working.activated,
        activated_at=_time(working.activated_at),
        activation_rate=working.activation_rate,
        checklist=_checklist(account, working),
        last_active_at=format_ms(working.last_active_at),
        first_value_at=_time(working.first_value_at),
        plan=working.plan,
        mrr=working.mrr,
        seats=working.seats,
        usage_ratio=_plain(working.usage_ratio),
        nps=_plain(working.nps),
        users=len(account.users),
        teams=len(account.teams),
        activity=account.total,
        events={name: account.events[name].total for name in most},
        definitions={name: _plain(value) for name, value in definitions.items()},
    )


def _checklist(account: Account, working: Working) -> list[StepTold]:
    told = []
    for event, steps in working.program.steps.items():
        series = account.events.get(event)
        for key, needed in steps:
            told.append(StepTold(event, needed, 0 if series is None else series.total, _time(account.steps.get(key))))
    return told


def _memberships(transitions: Sequence[Transition], at_ms: int) -> list[MembershipTold]:
    """Stays in the order in which they began."""
    told: list[MembershipTold] = []
    present: dict[str, MembershipTold] = {}
    for one in transitions:
        left = one.from_segment if one.direction == "moved" else one.segment if one.direction == "exited" else None
        if left is not None and left in present:
            stay = present.pop(left)
            stay.left_at = format_ms(one.effective_at)
            stay.left_to = one.segment if one.direction == "moved" else None
            stay.left_because = _because(one)
            stay.dwell_seconds = (one.effective_at - (one.entered_at or 0)) / 1000
        if one.direction != "exited":
            stay = MembershipTold(
                segment=one.segment,
                group=one.group,
                entered_at=format_ms(one.effective_at),
                entered_from=one.from_segment,
                entered_because=_because(one),
                left_at=None,
                left_to=None,
                left_because=None,
                dwell_seconds=(at_ms - one.effective_at) / 1000,
            )
            present[one.segment] = stay
            told.append(stay)
    return told


def _because(transition: Transition) -> dict[str, Any]:
    trigger = transition.trigger
    if isinstance(trigger, str):
        return {"trigger": trigger, **transition.evidence}
    return {"trigger": {"message_id": trigger[0], "type": trigger[1]}, **transition.evidence}


def _segment(state: SegmentState) -> SegmentTold:
    segment = state.segment
    return SegmentTold(
        segment=segment.id,
        name=segment.name or segment.id,
        group=segment.group,
        member=state.entered_at is not None,
        entered_at=_time(state.entered_at),
        forecast=_forecast(state.forecast),
        enters_at=_time(state.enters_at),
        waits_until=_time(state.waits_until),
        when=_rule(state.when),
        exit_when=None if state.exit_when is None else _rule(state.exit_when),
    )


def _forecast(forecast: Forecast | None) -> ForecastTold | None:
    if forecast is None:
        return None
    return ForecastTold(format_ms(forecast.leaves_at), forecast.direction, forecast.to)


def _rule(rule: RuleState) -> RuleTold:
    return RuleTold(rule.text, rule.holds, rule.needs, [_part(part) for part in rule.parts], _time(rule.turns_at))


def _part(part: Part) -> PartTold:
    missing = part.missing
    return PartTold(
        text=part.text,
        holds=part.holds,
        values={text: _plain(value) for text, value in part.values.items()},
        missing=None
        if missing is None
        else MissingTold(missing.reading, _plain(missing.have), _plain(missing.need), _plain(missing.amount)),
        turns_at=_time(part.turns_at),
        change=part.change,
    )


def _time(time_ms: int | None) -> str | None:
    return None if time_ms is None else format_ms(time_ms)


def _plain(value: Any) -> Any:
    """Numbers as one reads them; infinity, the age of what never was, as a text."""
    if type(value) is not float:
        return value
    if not math.isfinite(value):
        return "never"
    return int(value) if value.is_integer() else round(value, PLACES)
