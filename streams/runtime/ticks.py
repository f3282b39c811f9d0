"""Wall clock for stages: a tick about every 200 ms, and a look whether a stage has something to write."""

import asyncio
import time
from typing import Final

from streams.runtime.assignment import Assignment
from streams.runtime.failure import FailReason, FailStop

TICK_S: Final = 0.2


async def tick_for_ever(assignment: Assignment, failure: FailStop) -> None:
    while not failure.failed:
        await asyncio.sleep(TICK_S)
        for partition in assignment.active():
            # Between two awaits nothing is revoked: who is active here may be ticked here.
            if not partition.active or failure.failed:
                continue
            try:
                partition.stage.on_tick(int(time.time() * 1000), caught_up=partition.caught_up())
                if partition.stage.dirty() or partition.moved():
                    partition.work.set()
            except Exception as error:  # noqa: BLE001 - any error of a stage is the end of the worker
                failure.fail(FailReason.STAGE, error)
            await asyncio.sleep(0)
