"""The collector's share of the time: little of what a worker holds is ever garbage in a cycle.

Theory of operation. With the default thresholds the collector took 12-17 % of a busy worker, most of it walking over
state that lives as long as the partition. So what lives long is moved out of its sight (frozen), and it looks less
often. Both have a price, which is bounded here:

* What is out of sight is never collected. Whatever was garbage at that moment, or became it later - the producers,
  connections and tasks that a rebalance leaves behind - would stay for the life of the process, rebalance after
  rebalance. So everything is brought back and collected first, each time.
* Cycles wait until ``YOUNG_OBJECTS_MAX`` objects are new: what waits is a few megabytes at most.

A load of state needs tens of megabytes for a moment. What it frees lies below what it made, where glibc keeps it; it is
given back, for nothing else of a worker's life needs as much.
"""

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

YOUNG_OBJECTS_MAX: Final = 20_000
YOUNG_ROUNDS_MAX: Final = 20
MIDDLE_ROUNDS_MAX: Final = 100


@contextmanager
def loading() -> Iterator[None]:
    """For a command that does one thing and ends: what is imported and made in here stays, so nobody looks for garbage.

    A seventh of the start of a short one.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.set_threshold(YOUNG_OBJECTS_MAX, YOUNG_ROUNDS_MAX, MIDDLE_ROUNDS_MAX)
        gc.freeze()
        gc.enable()


def settle() -> None:
    """Collect everything, take the rest for long-lived, and give back what is free.

    Called once the program is loaded, and whenever partitions came or went.
    """
    gc.set_threshold(YOUNG_OBJECTS_MAX, YOUNG_ROUNDS_MAX, MIDDLE_ROUNDS_MAX)
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    _give_back()


def _give_back() -> None:
    """Return free memory to the system, where the C library can."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:  # glibc has it, musl has not
        trim(0)
