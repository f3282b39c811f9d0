"""Which plays wait for a piece of news, and what it is to them.

A move is told as people see it: to a play for `entered` it is an entry into the segment moved to, to a play for
`exited` an exit from the segment left. `moved` is the move itself, by the segment moved to.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from schemas.goal import Term
from schemas.playbook import ANY, Play
from schemas.transition import Direction
from streams.notify.plan.news import News


@dataclass(frozen=True, slots=True)
class Match:
    """What a piece of news is to a play: which way the account went, and the segment that it is about."""

    direction: Direction
    segment: str

    def still_true(self, segments: Iterable[str]) -> bool:
        """Whether it holds of an account that is in these segments: it is still there, or still away."""
        return (self.segment in segments) != (self.direction is Direction.EXITED)


def waits_for(play: Play, news: News) -> bool:
    return match(play, news) is not None


def match(play: Play, news: News) -> Match | None:
    """None: the play does not wait for it. A list waits for no news at all."""
    if play.roster is not None or (play.group is not None and play.group != news.group):
        return None
    for direction in play.directions:
        segment = _segment(direction, news)
        if segment is not None and (ANY in play.segments or segment in play.segments):
            return Match(direction, segment)
    return None


def reaches(terms: Iterable[Term], news: News) -> bool:
    """Whether it is any of these."""
    return any(_segment(direction, news) == segment for direction, segment in terms)


def left(news: News) -> str | None:
    """The segment that the account is no longer in."""
    return _segment(Direction.EXITED, news)


def _segment(direction: Direction, news: News) -> str | None:
    """The segment of which it is news of this direction."""
    moved = news.direction == Direction.MOVED
    if direction is Direction.EXITED:
        return news.from_segment if moved else (news.segment if news.direction == Direction.EXITED else None)
    if direction is Direction.MOVED:
        return news.segment if moved else None
    return None if news.direction == Direction.EXITED else news.segment
