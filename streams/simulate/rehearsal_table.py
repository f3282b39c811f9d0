"""A rehearsal for reading, and as rows of JSON."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from schemas.timestamps import format_ms
from streams.simulate.rehearsal import Figures, Rehearsal, Times
from streams.simulate.table import aligned


def rehearsal_table(found: Rehearsal) -> str:
    first, last = format_ms(found.window.since_ms)[:10], format_ms(found.window.until_ms)[:10]
    lines = [f"{found.transitions} transitions in {found.days:.0f} days, {first} to {last}"]
    for figures in found.destinations:
        lines += ["", f"destination {figures.destination}, days and hours of {figures.after.zone}"]
        lines += [f"  {line}" for line in aligned([*_rows(figures, found.days)])]
        lines += [f"  {line}" for line in _counts(figures)]
    return "\n".join(lines) + "\n"


def _rows(figures: Figures, days: float) -> Iterator[tuple[str, ...]]:
    yield ("", "messages", "a day", "busiest day", "", "busiest hour", "")
    for name, times in (("each alone, at once", figures.before), ("as the playbook says", figures.after)):
        (day, of_day), (hour, of_hour) = times.busiest_day(), times.busiest_hour()
        yield (name, str(times.messages), f"{times.messages / days:.2f}", str(of_day), day, str(of_hour), hour)


def _counts(figures: Figures) -> Iterator[str]:
    counted = (
        ("messages", figures.by_kind), ("by play", figures.by_play), ("not told", figures.suppressed),
        ("later", figures.deferred),
    )  # fmt: skip
    if figures.told != figures.after.messages:
        yield f"they tell of {figures.told} things"
    for name, counter in counted:
        if counter:
            yield f"{name}: {', '.join(f'{word} {count}' for word, count in _ordered(counter).items())}"


def rehearsal_rows(found: Rehearsal) -> Iterator[dict[str, Any]]:
    """One row of the run, one a destination, one a destination and day."""
    yield {
        "kind": "run",
        "from": format_ms(found.window.since_ms),
        "to": format_ms(found.window.until_ms),
        "days": round(found.days, 3),
        "transitions": found.transitions,
    }
    for figures in found.destinations:
        yield {
            "kind": "destination",
            "destination": figures.destination,
            "zone": str(figures.after.zone),
            "before": _plain(figures.before, found.days),
            "after": _plain(figures.after, found.days),
            "told": figures.told,
            "kinds": _ordered(figures.by_kind),
            "plays": _ordered(figures.by_play),
            "suppressed": _ordered(figures.suppressed),
            "deferred": _ordered(figures.deferred),
        }
    for figures in found.destinations:
        before, after = figures.before.by_day, figures.after.by_day
        for day in sorted({*before, *after}):
            yield {
                "kind": "day", "destination": figures.destination, "day": day, "before": before[day],
                "after": after[day],
            }  # fmt: skip


def _plain(times: Times, days: float) -> dict[str, Any]:
    (day, of_day), (hour, of_hour) = times.busiest_day(), times.busiest_hour()
    return {
        "messages": times.messages,
        "per_day": round(times.messages / days, 3),
        "busiest_day": {"day": day or None, "messages": of_day},
        "busiest_hour": {"hour": hour or None, "messages": of_hour},
    }


def _ordered(counter: Counter[Any]) -> dict[str, int]:
    """Most first, ties by name."""
    return {str(word): count for word, count in sorted(counter.items(), key=lambda entry: (-entry[1], entry[0]))}
