"""The canary's accounts: one for each partition of the log, so that a single partition that stands still shows.

Their names are a function of the number of partitions, the same after every restart: the state that they cost is
bounded, and what they wrote last time is theirs again. They need no list either; a name is tried until its key belongs
to the partition wanted.
"""

from itertools import count
from typing import Final

from schemas.canary import CANARY_PREFIX
from streams.runtime.partitioner import partition_of

SERVICE: Final = "service"
"""The name of the canary that always runs."""
ONCE: Final = "once"
"""That of a look by hand, which must not meddle with the first."""


def accounts(name: str, partitions: int) -> tuple[str, ...]:
    """An account of each partition, in their order. Takes some `partitions * ln(partitions)` tries."""
    found: dict[int, str] = {}
    for number in count():
        account = f"{CANARY_PREFIX}{name}-{number}"
        found.setdefault(partition_of(account.encode(), partitions), account)
        if len(found) == partitions:
            return tuple(found[partition] for partition in range(partitions))
    raise AssertionError("unreachable: counting does not end")
