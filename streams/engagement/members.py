"""How many accounts are in each segment, counted by what changes it.

Theory of operation. Every change of an account's memberships is a transition, but for an account's erasure; so the
counts follow from the transitions, and are stored with the partition's row, in one flush with the accounts they are of.
They are as exact as the state, after a restart too, and cost nothing per event. Where a row does not have them - a
version that did not count wrote it - the accounts are counted once, when the row has been loaded.
"""

from collections.abc import Iterable, Mapping

from streams.engine.found import Transition


class Members:
    """The counts of one partition."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def restore(self, counts: Mapping[str, int]) -> None:
        self._counts = dict(counts)

    def note(self, found: Transition) -> None:
        """Take a transition, once."""
        if found.from_segment is not None:  # and moves
            self._add(found.from_segment, -1)
        self._add(found.segment, -1 if found.direction == "exited" else 1)

    def forget(self, segments: Iterable[str]) -> None:
        """Take an account out that was in these segments."""
        for segment in segments:
            self._add(segment, -1)

    def counts(self) -> dict[str, int]:
        """The segments that anybody is in, in an order that does not depend on how it came to that."""
        return dict(sorted(self._counts.items()))

    def _add(self, segment: str, accounts: int) -> None:
        count = self._counts.get(segment, 0) + accounts
        if count:
            self._counts[segment] = count
        else:
            self._counts.pop(segment, None)
