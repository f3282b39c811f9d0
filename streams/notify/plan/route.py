"""Which plays wait for a piece of news.

A move is told as people see it: to a play for `entered` it is an entry into the segment moved to, to a play for
`exited` an exit from the segment left. `moved` is the move itself, by the segment moved to.
"""

from collections.abc import Sequence

from schemas.playbook import ANY, Play
from schemas.transition import Direction
from streams.notify.plan.news import News


def routes(news: News, plays: Sequence[Play]) -> list[Play]:
    """The enabled plays that wait for it, in the playbook's order."""
    return [play for play in plays if play.enabled and waits_for(play, news)]


def waits_for(play: Play, news: News) -> bool:
    if play.group is not None and play.group != news.group:
        return False
    return any(_matches(direction, play, news) for direction in play.directions)


def _matches(direction: Direction, play: Play, news: News) -> bool:
    if direction is Direction.EXITED:
        left = news.from_segment if news.direction == Direction.MOVED else news.segment
        return news.direction in {Direction.EXITED, Direction.MOVED} and _named(play, left)
    if direction is Direction.MOVED:
        return news.direction == Direction.MOVED and _named(play, news.segment)
    return news.direction in {Direction.ENTERED, Direction.MOVED} and _named(play, news.segment)


def _named(play: Play, segment: str | None) -> bool:
    return ANY in play.segments or segment in play.segments
