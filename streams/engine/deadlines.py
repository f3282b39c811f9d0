"""Whose next deadline is when: a million of them, of which most fall on few moments, the midnights.

Theory of operation. An account has at most one entry that counts, that of the moment it is set to; setting it anew
leaves the old entry where it is, to be passed over when it comes up. Entries of one moment lie together, and only the
moments are a heap: what is due at midnight comes out for a tenth of what it costs to take a million entries off a heap
one by one. Those of one moment come out in no order.
"""

import heapq
from typing import cast

from streams.engine.rules.linear import NEVER


class Deadlines:
    """The deadlines of a partition's accounts; `moments`, to be read, are where they are set to."""

    def __init__(self) -> None:
        self._heap: list[int] = []  # of moments
        self._entries: dict[int, str | list[str]] = {}  # of each moment; most others than midnights have one
        self.moments: dict[str, int] = {}

    def __contains__(self, account_id: str) -> bool:
        return account_id in self.moments

    def __len__(self) -> int:
        """How many accounts have a deadline."""
        return len(self.moments)

    def first(self) -> int:
        """The earliest moment of which there is an entry; `NEVER` if there is none."""
        return self._heap[0] if self._heap else NEVER

    def has_due(self, until: int) -> bool:
        """Whether there is an entry up to and including a moment, be it `NEVER`."""
        return bool(self._heap) and self._heap[0] <= until

    def set(self, account_id: str, at: int) -> None:
        """An account's deadline is at this moment, whatever it was before; `NEVER`: it has none."""
        if at >= NEVER:
            self.forget(account_id)
            return
        self.mark(account_id, at)
        self.enter(account_id, at)

    def mark(self, account_id: str, at: int) -> None:
        """An account's deadline is at this moment; its entry is kept elsewhere meanwhile (`enter`)."""
        self.moments[account_id] = at

    def enter(self, account_id: str, at: int) -> None:
        """Make an entry, if it counts."""
        if self.moments.get(account_id) != at:
            return
        there = self._entries.get(at)
        if there is None:
            self._entries[at] = account_id
            heapq.heappush(self._heap, at)
        elif isinstance(there, str):
            self._entries[at] = [there, account_id]
        else:
            there.append(account_id)

    def take(self) -> str | None:
        """Take an entry of the first moment out: whose deadline it is; None if it does not count any more."""
        at = self._heap[0]
        there = self._entries[at]
        if isinstance(there, str):
            account_id, there = there, cast("list[str]", [])
        else:
            account_id = there.pop()
        if not there:
            del self._entries[heapq.heappop(self._heap)]
        if self.moments.get(account_id) != at:
            return None
        del self.moments[account_id]
        return account_id

    def forget(self, account_id: str) -> None:
        self.moments.pop(account_id, None)

    def due(self, until: int, entries_max: int) -> list[str]:
        """Whose deadlines are up to and including a moment; so many entries are looked at at most.

        A heap's entries up to a moment hang together at its top, so this takes no longer than there are such entries.
        """
        found: list[str] = []
        places, looked_at = [0], 0
        while places and looked_at < entries_max:
            place = places.pop()
            if place >= len(self._heap) or self._heap[place] > until:
                continue
            places += (2 * place + 2, 2 * place + 1)
            at = self._heap[place]
            there = self._entries[at]
            listed = [there] if isinstance(there, str) else there[: entries_max - looked_at]
            looked_at += len(listed)
            found += [account_id for account_id in listed if self.moments.get(account_id) == at]
        return found
