"""A comparison for reading, and as rows of JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

from schemas.timestamps import format_ms
from streams.simulate.comparison import Comparison, Overlap, SegmentFigures
from streams.simulate.course import Rate
from streams.simulate.flapping import ENTRIES_TOLERATED

OVERLAPS_SHOWN_MAX: Final = 20
NOTHING: Final = "-"


def table(found: Comparison) -> str:
    """Sizes and rates as `old > new`; one value where both are equal."""
    span = found.span
    first, last = format_ms(span.start_ms)[:10], format_ms(span.end_ms)[:10]
    lines = [
        f"old: {found.old.name}, version {found.old.version}",
        f"new: {found.new.name}, version {found.new.version}",
        f"{found.new.accounts} accounts; sizes at the end; rates over {span.weeks:.1f} weeks, {first} to {last}",
        "",
        *aligned([*_segment_rows(found)]),
        "",
        f"in 30 days: entries of an account in its busiest 30 days; median, most, share with > {ENTRIES_TOLERATED}",
    ]
    if found.overlaps:
        lines += ["", *aligned([("overlap", "", "accounts", "of the smaller"), *_overlap_rows(found.overlaps)])]
        if len(found.overlaps) > OVERLAPS_SHOWN_MAX:
            lines.append(f"and {len(found.overlaps) - OVERLAPS_SHOWN_MAX} more pairs")
    if found.channels:
        rows = [
            (one.channel, _pair(f"{one.old.per_week:.1f}", f"{one.new.per_week:.1f}"),
             _pair(str(one.old.busiest_week), str(one.new.busiest_week)))
            for one in found.channels
        ]  # fmt: skip
        lines += ["", *aligned([("channel", "messages/week", "busiest week"), *rows])]
    return "\n".join(lines) + "\n"


def rows(found: Comparison, *, with_accounts: bool) -> Iterator[dict[str, Any]]:
    """One row a thing; `kind` says of what."""
    yield {
        "kind": "run",
        "old": {"name": found.old.name, "version": found.old.version},
        "new": {"name": found.new.name, "version": found.new.version},
        "accounts": found.new.accounts,
        "from": format_ms(found.span.start_ms),
        "to": format_ms(found.span.end_ms),
        "weeks": round(found.span.weeks, 3),
    }
    for one in found.segments:
        yield {
            "kind": "segment", "segment": one.segment, "old": _plain(one.old), "new": _plain(one.new),
            "enters": len(one.enters), "leaves": len(one.leaves),
        }  # fmt: skip
    for overlap in found.overlaps:
        yield {"kind": "overlap"} | asdict(overlap) | {"share": round(overlap.share, 4)}
    for channel in found.channels:
        yield {"kind": "channel", "channel": channel.channel, "old": _rate(channel.old), "new": _rate(channel.new)}
    if with_accounts:
        for segment, change, account_id in comings_and_goings(found):
            yield {"kind": "account", "account_id": account_id, "segment": segment, "change": change}


def comings_and_goings(found: Comparison) -> Iterator[tuple[str, str, str]]:
    """Segment, `enters` or `leaves`, account."""
    for one in found.segments:
        yield from ((one.segment, "enters", account_id) for account_id in one.enters)
        yield from ((one.segment, "leaves", account_id) for account_id in one.leaves)


def _plain(figures: SegmentFigures | None) -> dict[str, Any] | None:
    if figures is None:
        return None
    return {
        "size": figures.size,
        "entries": figures.entries,
        "changes": _rate(figures.changes),
        "flapping": asdict(figures.flapping) | {"share_over": round(figures.flapping.share_over, 4)},
    }


def _rate(rate: Rate) -> dict[str, Any]:
    return {"per_week": round(rate.per_week, 3), "busiest_week": rate.busiest_week}


def _segment_rows(found: Comparison) -> Iterator[Sequence[str]]:
    yield (
        "segment",
        "size",
        "enter",
        "leave",
        "changes/week",
        "busiest",
        "in 30 days",
        "most",
        f"> {ENTRIES_TOLERATED}",
    )
    for one in found.segments:
        old, new = one.old, one.new

        def pair(of: Any, old: SegmentFigures | None = old, new: SegmentFigures | None = new) -> str:
            return _pair(NOTHING if old is None else of(old), NOTHING if new is None else of(new))

        yield (
            one.segment,
            pair(lambda figures: str(figures.size)),
            str(len(one.enters)),
            str(len(one.leaves)),
            pair(lambda figures: f"{figures.changes.per_week:.1f}"),
            pair(lambda figures: str(figures.changes.busiest_week)),
            pair(lambda figures: f"{figures.flapping.median:g}"),
            pair(lambda figures: str(figures.flapping.most)),
            pair(lambda figures: f"{figures.flapping.share_over:.1%}"),
        )


def _overlap_rows(overlaps: Sequence[Overlap]) -> Iterator[Sequence[str]]:
    for one in overlaps[:OVERLAPS_SHOWN_MAX]:
        was = NOTHING if one.old is None else str(one.old)
        yield (*one.segments, _pair(was, str(one.new)), f"{one.share:.0%}")


def _pair(old: str, new: str) -> str:
    return new if old == new else f"{old} > {new}"


def aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """Columns side by side, the numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
