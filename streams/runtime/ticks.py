"""Wall clock for stages: a tick about every 200 ms, and between ticks the work that stages do in slices.

Theory of operation. A stage with a backlog (``Sliced``) gets ``SLICE_S`` at a time, then everything else that waits in
the event loop has its turn: batches, flushes, heartbeats, and what these lead to, until the loop has nothing to do. A
flush is a chain of some dozens of such turns; with a slice after each it took a second. So an event waits a slice where
it would wait for the network anyway, and while events keep the loop busy slices get a turn in `TURNS_MAX`. Without a
backlog nothing is asked between two ticks.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from streams.runtime.assignment import Assignment
from streams.runtime.failure import FailReason, FailStop
from streams.runtime.partition import Partition
from streams.runtime.stage import Sliced, is_sliced

TICK_S: Final = 0.2
SLICE_S: Final = 0.003
IDLE_TURN_S: Final = 0.000_1
"""A turn of the event loop that takes no longer had nothing to do."""
TURNS_MAX: Final = 20
"""Turns that others may have between two slices."""
FLUSH_WAIT_S: Final = 0.01
"""While a backlog waits for a flush."""


async def tick_for_ever(assignment: Assignment, failure: FailStop) -> None:
    loop = asyncio.get_running_loop()
    try:
        while not failure.failed:
            await _work_off(assignment, failure, loop.time() + TICK_S)
            for partition in assignment.active():
                # Between two awaits nothing is revoked: who is active here may be ticked here.
                if not partition.active or failure.failed:
                    continue
                partition.stage.on_tick(int(time.time() * 1000), caught_up=partition.caught_up())
                if partition.stage.dirty() or partition.moved() or partition.writer.may_hang:
                    partition.has_work()
                await asyncio.sleep(0)
    except Exception as error:  # noqa: BLE001 - any error of a stage is the end of the worker
        failure.fail(FailReason.STAGE, error)


async def _work_off(assignment: Assignment, failure: FailStop, until: float) -> None:
    """Let stages work off what they have, in slices, until it is time for the next tick."""
    now = asyncio.get_running_loop().time
    while not failure.failed and (left_s := until - now()) > 0:
        backlogged = False
        worked = False
        for partition in assignment.active():
            if partition.active and is_sliced(partition.stage) and partition.stage.has_backlog():
                backlogged = True
                worked |= _slice(partition, partition.stage, now)
                await _give_way(now)
        if not worked:
            await asyncio.sleep(min(left_s, FLUSH_WAIT_S) if backlogged else left_s)


async def _give_way(now: Callable[[], float]) -> None:
    """Let everything else go first that is ready to run, and what follows from it, but not for ever."""
    for _ in range(TURNS_MAX):
        before = now()
        await asyncio.sleep(0)
        if now() - before < IDLE_TURN_S:
            return


def _slice(partition: Partition, stage: Sliced, now: Callable[[], float]) -> bool:
    """Work until the time of a slice is over; whether anything was done."""
    end = now() + SLICE_S
    worked = False
    while stage.work_off():
        worked = True
        if now() >= end:
            break
    if partition.stage.dirty():
        partition.has_work()
    return worked
