"""Which accounts are looked at, without holding all of them: the `size` accounts with the smallest keyed hash.

The hash decides alone, so one pass over the changelog and one over the log come to the same accounts, in any order and
in bounded memory, and an account that only the log knows is found as well: its hash lies below the sample's bound.
The seed gives another sample.
"""

import hashlib
from typing import Final

ONLY_IN_LOG_MAX: Final = 100
"""So many accounts that only the log knows are enough to say that the state is wrong."""

Place = tuple[int, str]
"""Partition and account: one account in two partitions is two states."""


class Sample:
    def __init__(self, size: int, seed: int, named: frozenset[str] = frozenset()) -> None:
        """`named`: look at these accounts, and at no other."""
        assert size >= 1, "a sample has a size"
        self._size = size
        self._salt = seed.to_bytes(8, "big", signed=True)
        self._named = named
        self._bound = 1 << 64
        self._extra = 0
        self._hashes: dict[Place, int] = {}
        self.stored: dict[Place, bytes | None] = {}
        """The latest row of each account in the sample; None: a tombstone, or no row at all."""

    def saw_row(self, place: Place, value: bytes | None) -> None:
        """A row of the changelog, in its order."""
        if place in self.stored:
            self.stored[place] = value
        elif self._belongs(place[1]):
            self._hashes[place] = self._hash(place[1])
            self.stored[place] = value
            if not self._named and len(self.stored) > self._size:
                self._shrink()

    def wants(self, place: Place) -> bool:
        """Whether a record of the log is of an account in the sample; one the state does not know joins it."""
        if place in self.stored:
            return True
        if self._extra >= ONLY_IN_LOG_MAX or not self._belongs(place[1]):
            return False
        self._extra += 1
        self.stored[place] = None
        return True

    def _belongs(self, account_id: str) -> bool:
        return account_id in self._named if self._named else self._hash(account_id) < self._bound

    def _shrink(self) -> None:
        greatest = max(self._hashes, key=self._hashes.__getitem__)
        self._bound = self._hashes.pop(greatest)
        del self.stored[greatest]

    def _hash(self, account_id: str) -> int:
        digest = hashlib.blake2b(account_id.encode(), digest_size=8, key=self._salt).digest()
        return int.from_bytes(digest, "big")
