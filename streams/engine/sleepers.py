"""Accounts whose rank nobody has to ask for: they sleep between two looks at the population, and most of them do.

Theory of operation. Every account is looked at and ranked once a day (`population`), and on most days nothing happens
to most of them: what an account is ranked by changes with its next record, or with the next day that goes into or out
of one of its windows, and that day is known. So an account that has been ranked sleeps until then. A look takes the
keys (`ranking`) of those who are awake, and puts them where they belong in `columns`. New percentiles change the rank
of an account that sleeps only if they lie above its key where the last ones did not, or the other way round; so those
concerned are who stands in a column between the two. Whatever else happens to an account wakes it first: to sleep
changes nothing but how long a day takes.

Where a definition has no keys (`Ranking.has_keys`) nobody sleeps.
"""

from heapq import heappop, heappush
from typing import Any

from streams.engine.columns import Column, Looked, Place
from streams.engine.live import Live
from streams.engine.operations import Compared
from streams.engine.population import NO_THRESHOLDS, Thresholds, ranks_of
from streams.engine.ranking import Keys, Ranking
from streams.engine.rules.linear import NEVER


class _Sleeper:
    """`until`: the moment from which its keys may be others."""

    __slots__ = ("live", "until")

    def __init__(self, live: Live, until: int) -> None:
        self.live = live
        self.until = until


class Sleepers:
    """The accounts of one partition under one program, as of the latest look at all of them."""

    def __init__(self, ranking: Ranking) -> None:
        self._ranking = ranking
        self._has_looked = False
        self._columns = [Column() for _ in ranking.names]
        self._keys: dict[str, Keys] = {}  # of everybody
        self._asleep: dict[str, _Sleeper] = {}
        self._alarms: dict[int, dict[str, None]] = {}  # until when -> who sleeps until then
        self._moments: list[int] = []  # a heap of these
        self._awake: dict[str, None] = {}
        self._looked_at: dict[str, Keys] = {}  # by the latest look
        self._thresholds = NO_THRESHOLDS  # what all were last compared with
        self._cuts: list[list[Any]] = []  # the same as keys; none if something has happened to everybody since

    def __contains__(self, account_id: str) -> bool:
        return account_id in self._asleep

    def __len__(self) -> int:
        return len(self._asleep)

    def keys_of(self, account_id: str) -> Keys | None:
        """The keys of an account as of the latest look."""
        return self._keys.get(account_id)

    def meet(self, account_id: str) -> None:
        """An account has been decoded, or is new."""
        if self._has_looked:
            self._awake[account_id] = None

    def wake(self, account_id: str) -> None:
        """The account is as if it had been brought through everything itself."""
        sleeper = self._asleep.pop(account_id)
        sleeper.live.working.thresholds = self._thresholds
        self._awake[account_id] = None
        alarm = self._alarms.get(sleeper.until)
        if alarm is not None:
            del alarm[account_id]

    def wake_all(self) -> None:
        """Something happens to everybody."""
        for account_id in [*self._asleep]:
            self.wake(account_id)
        self._cuts = []

    def roused(self, at_ms: int) -> list[str] | None:
        """Those who are awake at `at_ms`; None says all."""
        while self._moments and self._moments[0] <= at_ms:
            for account_id in self._alarms.pop(heappop(self._moments)):
                self.wake(account_id)
        return [*self._awake] if self._has_looked else None

    def look(self, keys: dict[str, Keys | None]) -> Looked:
        """Take the keys of all who do not sleep; of who is no longer there, None."""
        known = self._keys
        gone: list[list[Place]] = [[] for _ in self._columns]
        come: list[list[Place]] = [[] for _ in self._columns]
        self._looked_at = {}
        for account_id, now in keys.items():
            before = known.get(account_id)
            if now is not None:
                self._looked_at[account_id] = known[account_id] = now
            elif before is not None:
                del known[account_id]
            if now != before:
                for place in range(len(self._columns)):
                    old = None if before is None else before[place]
                    new = None if now is None else now[place]
                    if old == new:
                        continue
                    if old is not None:
                        gone[place].append((old, account_id))
                    if new is not None:
                        come[place].append((new, account_id))
        for place, column in enumerate(self._columns):
            column.move(gone[place], come[place])
        first, self._has_looked = not self._has_looked, True
        if first:
            self._awake = dict.fromkeys(self._looked_at)
        return Looked(self._columns, first)

    def compare(
        self, thresholds: Thresholds, percentiles: list[list[Any]], lives: dict[str, Live]
    ) -> dict[str, Compared]:
        """Compare all with other percentiles, given as keys, as of the look. Returns those whom they may change.

        They are awake, and not yet brought through.
        """
        asked = self._ranking.asked
        cuts: list[list[Any]] = []
        for place in range(len(asked)):
            known = percentiles[place]
            cuts.append([known[percent] for percent in asked[place]] if known else [])
        compared: dict[str, Compared] = {}
        can_be_alike = self._ranking.has_keys and bool(self._cuts)
        for account_id, keys in self._looked_at.items():
            live, ranks = lives.get(account_id), ranks_of(keys, cuts)
            if live is None or live.account.ranks != ranks:
                alike = live is not None and live.account.ranks is None and can_be_alike
                compared[account_id] = ranks, alike and ranks_of(keys, self._cuts) == ranks
        for account_id in self._passed(cuts):
            sleeper = self._asleep.get(account_id)
            if sleeper is not None and (ranks := ranks_of(self._keys[account_id], cuts)) != sleeper.live.account.ranks:
                self.wake(account_id)
                compared[account_id] = ranks, False
        self._thresholds, self._cuts = thresholds, cuts
        return compared

    def _passed(self, cuts: list[list[Any]]) -> dict[str, None]:
        """Those who reach other cuts than they did, and maybe some who do not."""
        passed: dict[str, None] = {}
        for place in range(len(self._cuts)):
            before, now = self._cuts[place], cuts[place]
            if before and now:
                for number in range(len(now)):
                    if before[number] != now[number]:
                        for account_id in self._columns[place].between(before[number], now[number]):
                            passed[account_id] = None
            elif before or now:
                passed.update(dict.fromkeys(self._asleep))
        return passed

    def lull(self, lives: dict[str, Live]) -> None:
        """Let everybody sleep who has been brought through the last percentiles."""
        awake, self._awake, self._looked_at = self._awake, {}, {}
        for account_id in awake:
            live = lives.get(account_id)
            if live is None:
                continue  # it is stored: such are looked at whenever there is a look
            live.working.thresholds = self._thresholds
            scratch = live.scratch
            if scratch is None or live.account.ranks is None or not self._ranking.has_keys:
                self._awake[account_id] = None
                continue
            until = scratch.next_edge_at()
            self._asleep[account_id] = _Sleeper(live, until)
            if until < NEVER:
                alarm = self._alarms.get(until)
                if alarm is None:
                    alarm = self._alarms[until] = {}
                    heappush(self._moments, until)
                alarm[account_id] = None
