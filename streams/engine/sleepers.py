"""Accounts that nothing counts any more, and what they are ranked by: known without looking at them.

Theory of operation. Every account is looked at and ranked once a day (`population`), and most accounts of a long
history have been silent for longer than any window reaches. Of such an account what it is ranked by changes with its
next record or deadline, or, where a definition asks for time itself, by the clock alone. So once it has been ranked it
may sleep: its values and ranks are kept in columns, a definition each. A new day computes the columns that move with
time, compares each column with the new percentiles, and names those whose rank changes. Whatever else happens to an
account wakes it first: to sleep changes nothing but how long a day takes.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence

from streams.engine.operations import Live
from streams.engine.population import NO_CUTS, UNKNOWN, Thresholds, Values
from streams.engine.ranking import Ranking


class _Column:
    """One definition's values and ranks, a place per account."""

    def __init__(self) -> None:
        self.values: list[float | None] = []
        self.ranks: list[int] = []
        self.cut: Sequence[float] | None = None  # what the ranks were found with

    def rank(self, cut: Sequence[float]) -> list[int]:
        """The places whose rank changes."""
        if cut == self.cut:
            return []
        before, self.cut = self.ranks, cut
        self.ranks = (
            [UNKNOWN if value is None else bisect_right(cut, value) for value in self.values]
            if cut
            else [NO_CUTS] * len(self.values)
        )
        if self.ranks == before:
            return []
        return [place for place, (old, new) in enumerate(zip(before, self.ranks, strict=True)) if old != new]

    def add(self, value: float | None, rank: int) -> None:
        self.values.append(value)
        self.ranks.append(rank)

    def remove(self, place: int) -> None:
        """The last one takes the place."""
        value, rank = self.values.pop(), self.ranks.pop()
        if place < len(self.values):
            self.values[place], self.ranks[place] = value, rank

    def known(self) -> list[float]:
        return [value for value in self.values if value is not None]


class _Still(_Column):
    """Of a definition that only records change. What is known is kept in order: it is asked for each day."""

    def __init__(self) -> None:
        super().__init__()
        self._sorted: list[float] = []

    def add(self, value: float | None, rank: int) -> None:
        super().add(value, rank)
        if value is not None:
            insort(self._sorted, value)

    def remove(self, place: int) -> None:
        value = self.values[place]
        if value is not None:
            del self._sorted[bisect_left(self._sorted, value)]
        super().remove(place)

    def known(self) -> list[float]:
        return self._sorted


class _Moving(_Column):
    """Of a definition that changes with time: every day has its own values, so equal cuts say nothing."""

    def move(self, values: list[float | None]) -> None:
        self.values, self.cut = values, None


class Sleepers:
    """The sleeping accounts of one partition under one program, each with its scratch of when it fell asleep."""

    def __init__(self, ranking: Ranking) -> None:
        self._ranking = ranking
        self._columns = [_Moving() if node.moves_with_time() else _Still() for node in ranking.nodes]
        self._moving = [column for column in self._columns if isinstance(column, _Moving)]
        self._ids: list[str] = []
        self._lives: list[Live] = []
        self._places: dict[str, int] = {}
        self._thresholds: Thresholds | None = None  # what all of them were last compared with

    def __contains__(self, account_id: str) -> bool:
        return account_id in self._places

    def look(self, at_ms: int) -> None:
        """Bring all values to `at_ms`."""
        if self._moving and self._ids:
            moving, scratch_at = self._ranking.moving, self._ranking.scratch_at
            found = [moving(live.account, live.scratch or scratch_at(live, at_ms), at_ms, 0) for live in self._lives]
            for column, values in zip(self._moving, zip(*found, strict=True), strict=True):
                column.move([*values])

    def known(self) -> list[list[float]]:
        """What is known of each definition, in no order."""
        return [column.known() for column in self._columns]

    def rank(self, thresholds: Thresholds, cuts: Sequence[Sequence[float]]) -> dict[str, Values]:
        """Compare all with other percentiles as of the last look.

        Returns those whose ranks change, with their values: awake, and not yet brought through.
        """
        places: set[int] = set()
        for column, cut in zip(self._columns, cuts, strict=True):
            places.update(column.rank(cut))
        changed = {self._ids[place]: tuple(column.values[place] for column in self._columns) for place in places}
        for account_id in changed:
            self.wake(account_id)
        self._thresholds = thresholds
        return changed

    def lull(self, account_id: str, live: Live, values: Values) -> None:
        """Take an account that was brought through the last percentiles with these values, if it may sleep.

        Its windows hold nothing as of that moment, so none will change before its next record.
        """
        ranks, scratch = live.account.ranks, live.scratch
        if scratch is None or scratch.counted or ranks is None:
            return
        self._places[account_id] = len(self._ids)
        self._ids.append(account_id)
        self._lives.append(live)
        for column, value, rank in zip(self._columns, values, ranks, strict=True):
            column.add(value, rank)

    def wake(self, account_id: str) -> None:
        """The account is as if it had been brought through everything itself."""
        live = self._take(account_id)
        if self._thresholds is not None:
            live.working.thresholds = self._thresholds

    def wake_all(self) -> None:
        for account_id in [*self._ids]:
            self.wake(account_id)

    def _take(self, account_id: str) -> Live:
        place = self._places.pop(account_id)
        live = self._lives[place]
        last_id, last = self._ids.pop(), self._lives.pop()
        if last_id != account_id:
            self._ids[place], self._lives[place] = last_id, last
            self._places[last_id] = place
        for column in self._columns:
            column.remove(place)
        return live
