"""An account's story as text: colours where a terminal wants them, plain lines everywhere else.

Whatever came from producers is shown with its control characters replaced: nobody's event may drive a terminal.
"""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from schemas.timestamps import DAY_MS, HOUR_MS, MINUTE_MS, parse_ms

if TYPE_CHECKING:
    from streams.replay.story import Facts, MembershipTold, PartTold, RuleTold, SegmentTold, Story

TIMELINE_SHOWN: Final = 15
VALUES_SHOWN: Final = 6
FACT_COLUMNS: Final = 16

Line = list[tuple[str, str]]  # pieces of text, each with its style


def show(story: "Story", *, every: bool) -> None:
    """Write the story to standard output; `every` shows the whole timeline and all parts of all rules."""
    from rich.console import Console  # noqa: PLC0415 - slow to import
    from rich.text import Text  # noqa: PLC0415

    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    for line in told(story, every=every):
        console.print(Text.assemble(*((_safe(text), style) for text, style in line)))


def told(story: "Story", *, every: bool) -> Iterator[Line]:
    now = _ms(story.as_of)
    yield [(story.account_id, "bold"), (f"  as of {_day_time(story.as_of)}", "")]
    yield [(f"catalog {story.catalog} {story.catalog_version}", "dim")]
    yield from _facts(story.facts, now)
    yield from _present(story, now)
    yield from _timeline(story.memberships, every=every)
    yield from _rules(story, now, every=every)


def _facts(facts: "Facts", now: int) -> Iterator[Line]:
    def fact(name: str, value: str, style: str = "") -> Line:
        return [(f"  {name:<{FACT_COLUMNS}}", "dim"), (value, style)]

    yield from _heading("What is known")
    yield fact("stage", facts.stage, "bold")
    yield fact("signed up", _dated(facts.signed_up_at, now))
    if facts.stage in ("trial", "expired"):
        yield fact("trial ends" if facts.stage == "trial" else "trial ended", _dated(facts.trial_ends_at, now))
    for name, at in (("converted", facts.converted_at), ("cancelled", facts.cancelled_at)):
        if at is not None:
            yield fact(name, _dated(at, now))
    yield fact("last active", _dated(facts.last_active_at, now))
    yield fact(
        "activity",
        f"{facts.activity} events of {facts.users} users in {facts.teams} team{'' if facts.teams == 1 else 's'}",
    )
    if facts.checklist:
        done = f"yes, {_dated(facts.activated_at, now)}" if facts.activated_at else f"{facts.activation_rate:.0%}"
        yield fact("activated", done)
        for step in facts.checklist:
            mark = ("✓", "green") if step.done_at else ("✗", "red")
            when = _dated(step.done_at, now) if step.done_at else f"{step.count} of {step.needed}"
            yield [("  " + " " * FACT_COLUMNS, ""), mark, (f" {step.event}: {when}", "")]
    if facts.first_value_at:
        yield fact("first value", _dated(facts.first_value_at, now))
    for name in ("plan", "mrr", "seats", "usage_ratio", "nps"):
        value = getattr(facts, name)
        if value is not None:
            yield fact(name.replace("_", " "), _value(value))
    for name, value in facts.definitions.items():
        yield fact(name, _value(value), "dim")


def _present(story: "Story", now: int) -> Iterator[Line]:
    yield from _heading("Where it is")
    members = [segment for segment in story.segments if segment.member]
    width = max((len(segment.segment) for segment in members), default=0)
    for segment in members:
        since = f"since {_dated(segment.entered_at, now)}"
        yield [
            ("  ● ", "green"),
            (f"{segment.segment:<{width}}", "bold"),
            (f"  {since}", ""),
            (_end(segment, now), "cyan"),
        ]
    if not members:
        yield [("  in no segment", "")]
    told_before = {segment.forecast.to for segment in members if segment.forecast is not None}
    coming = sorted(
        (segment for segment in story.segments if segment.enters_at and segment.segment not in told_before),
        key=lambda segment: segment.enters_at or "",
    )
    for segment in coming:
        assert segment.enters_at is not None, "selected above"
        when = f"enters {_in(_ms(segment.enters_at) - now)} if nothing happens"
        yield [("  ○ ", "dim"), (f"{segment.segment:<{width}}", ""), (f"  {when}", "cyan")]


def _end(segment: "SegmentTold", now: int) -> str:
    forecast = segment.forecast
    if forecast is None:
        return "; stays if nothing happens"
    how = f"moves to {forecast.to}" if forecast.to else "leaves"
    return f"; {how} {_in(_ms(forecast.leaves_at) - now)} if nothing happens"


def _timeline(memberships: "list[MembershipTold]", *, every: bool) -> Iterator[Line]:
    yield from _heading("How it came there")
    shown = memberships if every else memberships[-TIMELINE_SHOWN:]
    if len(shown) < len(memberships):
        yield [(f"  {len(memberships) - len(shown)} earlier ones: --all shows them", "dim")]
    for stay in shown:
        length = _length(round(stay.dwell_seconds * 1000))
        came = f" from {stay.entered_from}" if stay.entered_from else ""
        until = f"{length}, until {_day_time(stay.left_at)}" if stay.left_at else f"{length} so far"
        yield [
            (f"  {_day_time(stay.entered_at)}  ", ""), (stay.segment, "bold" if stay.left_at is None else ""),
            (f"{came}  {until}", ""),
        ]  # fmt: skip
        yield [(f"      entered {_because(stay.entered_because)}", "dim")]
        if stay.left_because is not None:
            to = f"moved to {stay.left_to}" if stay.left_to else "left"
            yield [(f"      {to} {_because(stay.left_because)}", "dim")]


def _because(because: dict[str, Any]) -> str:
    trigger = because["trigger"]
    cause = {
        "deadline": "as time passed",
        "thresholds": "by new percentiles of all accounts",
        "catalog": "by another catalog",
    }.get(trigger if isinstance(trigger, str) else "", "")
    if not cause:
        cause = f"by {trigger['type']} {trigger['message_id']}"
    if because.get("held"):
        return f"{cause}: {' and '.join(because['held'])}"
    if because.get("failed"):
        return f"{cause}: no longer {' and '.join(because['failed'])}"
    return f"{cause}: {_values(because.get('values', {}))}".removesuffix(": ")


def _rules(story: "Story", now: int, *, every: bool) -> Iterator[Line]:
    yield from _heading("What holds, and what would change it")
    of_group = {segment.group: segment.segment for segment in story.segments if segment.member and segment.group}
    groups: set[str] = set()
    for segment in story.segments:
        mark = ("  ● ", "green") if segment.member else ("  ○ ", "dim")
        yield [mark, (segment.segment, "bold" if segment.member else ""), (_standing(segment, of_group, now), "dim")]
        yield from _segment_rules(segment, is_overtaken=segment.group in groups, every=every)
        if segment.group is not None:
            groups.add(segment.group)


def _segment_rules(segment: "SegmentTold", *, is_overtaken: bool, every: bool) -> Iterator[Line]:
    """The rule that decides next: for a member what makes it leave, for others what makes them enter."""
    earlier = f" (or an earlier one of {segment.group} holds)" if is_overtaken else ""
    when, exit_when = segment.when, segment.exit_when
    if segment.member and exit_when is None:
        yield from _rule(
            f"is in while{{}}{earlier and f', and no earlier one of {segment.group} holds'}", when, every=True
        )
        return
    if segment.member and exit_when is not None:
        yield from _rule(f"leaves if{{}}{earlier}", exit_when, every=every)
    if not segment.member or every:
        yield from _rule("enters if{}", when, every=every or when.holds)
    if not segment.member and exit_when is not None and (every or (when.holds and exit_when.holds)):
        yield from _rule("would leave if{}", exit_when, every=True)


def _rule(words: str, rule: "RuleTold", *, every: bool) -> Iterator[Line]:
    needs = "" if len(rule.parts) == 1 else f" {rule.needs} of these"
    yield [(f"      {words.format(needs)}", "dim")]
    yield from _parts(rule.parts, every=every)


def _standing(segment: "SegmentTold", of_group: dict[str, str], now: int) -> str:
    """What a rule alone does not tell: waits, and who comes first in a group."""
    if segment.waits_until is not None:
        what = "may not leave before" if segment.member else "may not enter before"
        return f"  {what} {_dated(segment.waits_until, now)}"
    if segment.member or not segment.when.holds:
        return ""
    if segment.exit_when is not None and segment.exit_when.holds:
        return "  its rule holds, but what would make it leave holds too"
    other = of_group.get(segment.group or "")
    return f"  its rule holds, but {other} has the place in {segment.group}" if other else "  its rule holds"


def _parts(parts: "list[PartTold]", *, every: bool) -> Iterator[Line]:
    """One line a part; unless every one is wanted, those that do not hold."""
    shown = parts if every else [part for part in parts if not part.holds]
    for part in shown:
        line = [("        ✓ ", "green") if part.holds else ("        ✗ ", "red"), (part.text, "")]
        values = {text: value for text, value in part.values.items() if text != part.text}
        if values:
            line.append((f"  [{_values(values)}]", "dim"))
        if part.change is not None:
            line.append((f"  {'until' if part.holds else '→'} {part.change}", "cyan"))
        yield line
    if len(shown) < len(parts):
        yield [(f"        ✓ {len(parts) - len(shown)} more", "dim")]


def _heading(text: str) -> Iterator[Line]:
    yield []
    yield [(text, "bold underline")]


def _values(values: dict[str, Any]) -> str:
    # A time whose age is told need not be told itself.
    aged = {text for text in values if f"since({text})" in values or f"until({text})" in values}
    shown = [f"{text} = {_value(value)}" for text, value in values.items() if text not in aged]
    more = f", and {len(shown) - VALUES_SHOWN} more" if len(shown) > VALUES_SHOWN else ""
    return ", ".join(shown[:VALUES_SHOWN]) + more


def _value(value: Any) -> str:
    match value:
        case None:
            return "unknown"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}" if abs(value) < 10_000 else f"{value:.0f}"
        case _:
            return str(value)


def _dated(at: str | None, now: int) -> str:
    """A time with how far it is from now."""
    if at is None:
        return "never"
    distance = _ms(at) - now
    return f"{_day_time(at)} ({_in(distance) if distance > 0 else f'{_length(-distance)} ago'})"


def _in(length_ms: int) -> str:
    return f"in {_length(length_ms)}"


def _length(length_ms: int) -> str:
    """A length of time as one says it."""
    for unit_ms, unit in ((DAY_MS, "days"), (HOUR_MS, "hours"), (MINUTE_MS, "min")):
        if length_ms >= 2 * unit_ms or unit_ms == MINUTE_MS:
            return f"{length_ms / unit_ms:.1f} {unit}".replace(".0 ", " ")
    raise AssertionError("minutes take all that is left")


def _day_time(at: str) -> str:
    return f"{at[:10]} {at[11:16]}"


def _ms(at: str) -> int:
    found = parse_ms(at)
    return 0 if found is None else found


def _safe(text: str) -> str:
    return "".join(char if char.isprintable() else "\ufffd" for char in text)
