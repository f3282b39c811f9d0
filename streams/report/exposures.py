"""The first exposure of each account to each play, and nothing more: what the results rest on.

An account stays in the arm of its first exposure, whatever it is told later: to move it would let the outcome choose
the arm. Repeats of a record change nothing, so a log that tells some things twice gives the same results.

Bounded: when there are more exposures than fit, accounts are left out by a hash that knows nothing of arms and
outcomes, half of them at a time. Both arms shrink alike; the results stay true, with wider intervals, and say so.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from schemas.action import Arm

EXPOSURES_MAX: Final = 500_000
"""Of all plays together; some 300 B of memory each."""
HASH_BITS: Final = 64
PERSON: Final = b"pegel-results"


@dataclass(frozen=True, slots=True)
class Exposure:
    account_id: str
    at_ms: int
    arm: Arm


class Exposures:
    """First exposures by play."""

    def __init__(self, exposures_max: int = EXPOSURES_MAX) -> None:
        assert exposures_max > 0, exposures_max
        self._max = exposures_max
        self._plays: dict[str, dict[str, Exposure]] = {}
        self._both_arms: dict[str, set[str]] = {}
        self._count = 0
        self._halvings = 0

    @property
    def kept_share(self) -> float:
        """Of all accounts, those that are looked at."""
        return 0.5**self._halvings

    @property
    def plays(self) -> list[str]:
        return sorted(self._plays)

    def add(self, play: str, exposure: Exposure) -> None:
        if self._halvings and not self._keeps(exposure.account_id):
            return
        known = self._plays.setdefault(play, {})
        first = known.get(exposure.account_id)
        if first is not None and first.arm is not exposure.arm:
            self._both_arms.setdefault(play, set()).add(exposure.account_id)
        if first is None or _order(exposure) < _order(first):
            known[exposure.account_id] = exposure
            self._count += first is None
        while self._count > self._max:
            self._halve()

    def of(self, play: str) -> Iterator[Exposure]:
        yield from self._plays.get(play, {}).values()

    def first(self, play: str, account_id: str) -> Exposure | None:
        return self._plays.get(play, {}).get(account_id)

    def in_both_arms(self, play: str) -> int:
        """Accounts that were drawn into one arm and later into the other: the split was changed in between."""
        return len(self._both_arms.get(play, ()))

    def _halve(self) -> None:
        self._halvings += 1
        for known in self._plays.values():
            for account_id in [one for one in known if not self._keeps(one)]:
                del known[account_id]
        for twice in self._both_arms.values():
            twice.intersection_update([one for one in twice if self._keeps(one)])
        self._count = sum(map(len, self._plays.values()))

    def _keeps(self, account_id: str) -> bool:
        number = int.from_bytes(blake2b(account_id.encode(), digest_size=8, person=PERSON).digest(), "big")
        return number >> (HASH_BITS - self._halvings) == 0


def _order(exposure: Exposure) -> tuple[int, str]:
    """By time; of two at once the same one whatever order the log has them in."""
    return exposure.at_ms, exposure.arm
