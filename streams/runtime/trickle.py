"""When the next fetch goes to a broker: what trickles in is fetched together.

Theory of operation. A broker answers a fetch as soon as it has a record, and the client fetches again as soon as the
records are taken. At 2,000 records a second that is a fetch for every few of them, and each costs as much as one for
hundreds: two threads woken, a request, a batch for each partition. So after a fetch that brought little the next one
to that broker waits. It is the request that waits, not what it brought: that goes on at once, and what arrives
meanwhile comes with the next one. A fetch that brought nothing has waited at the broker; one that brought much may be
one of many.

The pace is somewhat quicker than that of the flushes of a worker with four partitions (``flush.PRESSING_S``): what is
fetched much more often waits for the next flush all the same, what is fetched as seldom waits twice.
"""

import time
from collections.abc import Callable
from typing import Final

TRICKLE_S: Final = 0.025
TRICKLE_BYTES: Final = 128 << 10
"""Some hundreds of records as they are fetched."""


class Trickle:
    """Of one client. It keeps a number per broker that it was last told little by."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._not_before: dict[int, float] = {}

    def wait_s(self, node_id: int) -> float:
        """How long a fetch to this broker has to wait from now on; 0 if it may go."""
        return max(0.0, self._not_before.pop(node_id, 0.0) - self._clock())

    def brought(self, node_id: int, size: int) -> None:
        """A fetch has brought so many bytes of records."""
        if 0 < size < TRICKLE_BYTES:
            self._not_before[node_id] = self._clock() + TRICKLE_S
