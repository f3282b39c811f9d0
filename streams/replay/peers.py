"""What a replay of some accounts has to know of the others: little, and only at a few places of the log.

Accounts do not know of each other, so a replay may be shared out by account. Two things are of all of them: the
percentiles that ranked segments compare with, and whether a partition has any account yet. Every share reads every
line, so all ask at the same places.
"""

from collections.abc import Callable, Sequence
from typing import Protocol
from zlib import crc32

from streams.engine.population import percentiles_of

Takes = Callable[[str], bool]
"""Whether an account is one of a share's."""

Columns = list[list[float]]
"""What is known of each definition, in no order."""


class Peers(Protocol):
    """Those who replay the other accounts."""

    def percentiles(self, columns: Columns) -> Columns:
        """The percentiles of all accounts, where these are the values of one's own."""

    def any(self, mine: bool) -> bool:  # noqa: FBT001 - it is what is asked
        """Whether it is true for anyone."""


class Alone:
    """Nobody else has an account."""

    def percentiles(self, columns: Columns) -> Columns:
        return [percentiles_of(column) for column in columns]

    def any(self, mine: bool) -> bool:  # noqa: FBT001
        return mine


def together(shares: Sequence[Columns]) -> Columns:
    """The percentiles of all accounts from what each share knows."""
    return [percentiles_of([value for column in columns for value in column]) for columns in zip(*shares, strict=True)]


def share_of(number: int, count: int) -> Takes:
    """The accounts of one share out of several, the same in every process."""
    return lambda account_id: crc32(account_id.encode("utf-8", "surrogatepass")) % count == number
