"""What a replay of some accounts has to know of the others: little, and only at a few places of the log.

Accounts do not know of each other, so a replay may be shared out by account. Two things are of all of them: the
percentiles that ranked segments compare with, and whether a partition has any account yet. Every share reads every
line, so all ask at the same places.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol
from zlib import crc32

from streams.engine.columns import Column, Looked, Place

Takes = Callable[[str], bool]
"""Whether an account is one of a share's."""

Moved = list[tuple[list[Place], list[Place]]]
"""Of each definition who is no longer where, and who is where now."""


class Peers(Protocol):
    """Those who replay the other accounts."""

    def percentiles(self, looked: Looked) -> list[list[Any]]:
        """The percentiles of all accounts, as keys, when one has looked at one's own."""

    def any(self, mine: bool) -> bool:  # noqa: FBT001 - it is what is asked
        """Whether it is true for anyone."""


class Alone:
    """Nobody else has an account."""

    def percentiles(self, looked: Looked) -> list[list[Any]]:
        return [column.percentiles() for column in looked.columns]

    def any(self, mine: bool) -> bool:  # noqa: FBT001
        return mine


class Together:
    """The accounts of all shares in order, from what each of them says has moved."""

    def __init__(self) -> None:
        self._columns: list[Column] = []

    def percentiles(self, shares: Sequence[Moved], *, first: bool) -> list[list[Any]]:
        """The percentiles of all; `first`: what was said before does not count any more."""
        if first:
            self._columns = [Column() for _ in shares[0]]
        for place, column in enumerate(self._columns):
            moved = [share[place] for share in shares]
            column.move([one for gone, _ in moved for one in gone], [one for _, come in moved for one in come])
        return [column.percentiles() for column in self._columns]


def share_of(number: int, count: int) -> Takes:
    """The accounts of one share out of several, the same in every process."""
    return lambda account_id: crc32(account_id.encode("utf-8", "surrogatepass")) % count == number
