"""What can be counted exactly, whatever the machine is doing: `python -m benchmarks.budgets` prints it as JSON.

Function calls (of Python and of C) per event, memory blocks and bytes that a decoded account keeps, bytes of its
changelog row. Equal runs of one interpreter give equal numbers; `tests/unit/test_budgets.py` holds them to limits.
Figures say nothing of time: `benchmarks.micro` counts instructions.
"""

import gc
import json
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any, Final

from benchmarks.workload import Log, job_log, mixed_log
from schemas.wire import decode_event
from streams.engine.partition import Partition

EVENTS: Final = 1_500
ACCOUNTS: Final = 30


def measure() -> dict[str, float]:
    job, mix = job_log(EVENTS, ACCOUNTS), mixed_log(EVENTS, ACCOUNTS)
    rows = _changelog_bytes(job)
    return {
        "calls per event, ten segments": _calls_per_event(job),
        "calls per event, default catalog": _calls_per_event(mix),
        "blocks per account, ten segments": _kept_per_account(job, sys.getallocatedblocks),
        "blocks per account, default catalog": _kept_per_account(mix, sys.getallocatedblocks),
        "bytes per account, ten segments": _traced_per_account(job),
        "bytes per account, default catalog": _traced_per_account(mix),
        "changelog bytes per account, ten segments": sum(rows) / len(rows),
    }


def _take(log: Log) -> Partition:
    """All that an event costs in the engine, from its bytes to the account's row."""
    partition = Partition(log.program)
    for one in log.events:
        partition.apply(one.account, decode_event(one.raw), one.raw, one.arrival_ms)
    partition.take_transitions()
    return partition


def _calls_per_event(log: Log) -> float:
    _take(log).take_changes()  # what is made once
    calls = 0

    def count(_frame: Any, kind: str, _argument: Any) -> None:
        nonlocal calls
        calls += kind in {"call", "c_call"}

    sys.setprofile(count)
    try:
        _take(log).take_changes()
    finally:
        sys.setprofile(None)
    return calls / len(log.events)


def _kept_per_account(log: Log, level: Callable[[], int]) -> float:
    """How much a level rises by what a partition keeps of its accounts."""
    _take(log)
    gc.collect()
    before = level()
    partition = _take(log)
    partition.take_changes()
    gc.collect()
    kept = level() - before
    return kept / len(partition)


def _traced_per_account(log: Log) -> float:
    tracemalloc.start()
    try:
        return _kept_per_account(log, lambda: tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()


def _changelog_bytes(log: Log) -> list[int]:
    return [len(account.encode()) + len(stored) for account, stored in _take(log).take_changes()]


if __name__ == "__main__":
    json.dump(measure(), sys.stdout, indent=2)
    sys.stdout.write("\n")
