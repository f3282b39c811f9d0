"""Two courses side by side: of each segment the size, who enters and leaves, and the unrest; which segments overlap."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from streams.notify.plan.destination import DestinationPlan
from streams.simulate.alerts import alerts
from streams.simulate.course import Course, Rate, Span
from streams.simulate.flapping import Flapping, flapping


@dataclass(frozen=True, slots=True)
class SegmentFigures:
    """A segment under one catalog."""

    size: int
    entries: int
    changes: Rate
    flapping: Flapping


@dataclass(frozen=True, slots=True)
class SegmentComparison:
    """None where a catalog does not have the segment. `enters` and `leaves`: if the new took the old one's place."""

    segment: str
    old: SegmentFigures | None
    new: SegmentFigures | None
    enters: tuple[str, ...]
    leaves: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Overlap:
    """Accounts in two segments at once, at the end. `share`: of the smaller one, under the new catalog."""

    segments: tuple[str, str]
    old: int | None
    new: int
    share: float


@dataclass(frozen=True, slots=True)
class ChannelComparison:
    channel: str
    old: Rate
    new: Rate


@dataclass(frozen=True)
class Comparison:
    old: Course
    new: Course
    span: Span
    segments: tuple[SegmentComparison, ...]
    overlaps: tuple[Overlap, ...]
    channels: tuple[ChannelComparison, ...] = field(default=())


def compared(old: Course, new: Course, span: Span, plans: Sequence[DestinationPlan] = ()) -> Comparison:
    """Sizes are of the end; how often something happens is of the span."""
    return Comparison(
        old, new, span, tuple(_segments(old, new, span)), tuple(_overlaps(old, new)),
        tuple(_channels(old, new, span, plans)),
    )  # fmt: skip


def _figures(course: Course, span: Span) -> dict[str, SegmentFigures]:
    entries, changes = course.entries(span.start_ms), course.changes(span.start_ms)
    return {
        segment: SegmentFigures(
            size=len(course.members[segment]),
            entries=sum(map(len, entries[segment].values())),
            changes=Rate.of(changes[segment], span),
            flapping=flapping(entries[segment]),
        )
        for segment in course.segments
    }


def _segments(old: Course, new: Course, span: Span) -> Iterator[SegmentComparison]:
    """In the new catalog's order, then what only the old one has."""
    before, after = _figures(old, span), _figures(new, span)
    for segment in dict.fromkeys([*new.segments, *old.segments]):
        was, will_be = old.members.get(segment, frozenset()), new.members.get(segment, frozenset())
        yield SegmentComparison(
            segment, before.get(segment), after.get(segment),
            tuple(sorted(will_be - was)), tuple(sorted(was - will_be)),
        )  # fmt: skip


def _overlaps(old: Course, new: Course) -> Iterator[Overlap]:
    """Greatest first."""
    found = []
    for one, other in combinations(new.segments, 2):
        both = len(new.members[one] & new.members[other])
        if both:
            known = one in old.members and other in old.members
            was = len(old.members[one] & old.members[other]) if known else None
            share = both / min(len(new.members[one]), len(new.members[other]))
            found.append(Overlap((one, other), was, both, share))
    yield from sorted(found, key=lambda overlap: -overlap.new)


def _channels(old: Course, new: Course, span: Span, plans: Sequence[DestinationPlan]) -> Iterator[ChannelComparison]:
    before, after = alerts(old, plans, span), alerts(new, plans, span)
    for channel in after:
        yield ChannelComparison(channel, Rate.of(before[channel], span), Rate.of(after[channel], span))
