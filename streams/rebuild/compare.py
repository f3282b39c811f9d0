"""Two states of one account: what differs, but for what depends on when flushes happened and on nothing else.

That is: how much of the partition's clock an untouched account has taken over, of which day its membership was last
written, and the number of the last operation that it was brought through.
"""

from typing import Final

from streams.engine.account import FIELDS, Account
from streams.engine.clock import settle

NOTED_WHEN_WRITTEN: Final = ("reported_day", "reported_sequence", "operation")


def differing_fields(kept: Account, fresh: Account, floor: int) -> tuple[str, ...]:
    """Names of the fields that differ; brings both to the partition's clock, `floor`."""
    for account in (kept, fresh):
        settle(account, floor)
    return tuple(
        name for name in FIELDS if name not in NOTED_WHEN_WRITTEN and getattr(kept, name) != getattr(fresh, name)
    )
