"""Fail stop: the first unexpected error decides, and nothing is committed after it.

Theory of operation. A worker's memory is only trusted while everything went right. On the first error ``fail`` latches
its reason; every flush asks ``check`` before it begins, so that no transaction is opened any more, and one that is open
stays uncommitted until the next owner's fence aborts it. The process then ends with ``EXIT_FAILED``; its successor
starts from what was committed. Later errors are usually consequences of the first: they are not logged.

What is logged never quotes an event: an exception's own text is shown only where the program's own code or the Kafka
client wrote it.
"""

import asyncio
import logging
import traceback
from collections.abc import Callable
from enum import StrEnum
from pathlib import PurePath
from typing import Final

from aiokafka.errors import KafkaError

from streams.runtime.stage import StageFailure

log = logging.getLogger(__name__)

EXIT_OK: Final = 0
EXIT_FAILED: Final = 70
FRAMES_SHOWN_MAX: Final = 12


class FailReason(StrEnum):
    """Why a worker ended itself; a metric label and a word in the log."""

    STAGE = "stage"
    FLUSH = "flush"
    ASSIGNMENT = "assignment"
    CHAIN = "chain"
    FETCH = "fetch"
    FAUST = "faust"
    RUNTIME = "runtime"
    LOOP_STALLED = "loop_stalled"
    POLL_STALLED = "poll_stalled"
    NO_PROGRESS = "no_progress"
    COMMIT_STUCK = "commit_stuck"
    BROKER_SILENT = "broker_silent"
    REBALANCE_STUCK = "rebalance_stuck"
    INSTANCE_REPLACED = "instance_replaced"
    SHUTDOWN_STUCK = "shutdown_stuck"


class RuntimeFailure(Exception):  # noqa: N818 - a state, not only an error
    """A failure that the runtime itself found. Its text quotes no event."""


class FailStop:
    """The latch. Used from the event loop's thread alone."""

    def __init__(self, on_fail: Callable[[], None] = lambda: None) -> None:
        self._on_fail = on_fail
        self.reason: FailReason | None = None
        self._happened = asyncio.Event()

    @property
    def failed(self) -> bool:
        return self.reason is not None

    def fail(self, reason: FailReason, error: BaseException) -> None:
        """Latch the first failure and log it, once."""
        if self.reason is not None:
            return
        self.reason = reason
        log.critical("worker stops (%s): %s", reason.value, described(error))
        self._on_fail()
        self._happened.set()

    def check(self) -> None:
        if self.reason is not None:
            raise RuntimeFailure(f"the worker has failed ({self.reason.value}); nothing is committed any more")

    async def wait(self) -> FailReason:
        await self._happened.wait()
        assert self.reason is not None
        return self.reason


def described(error: BaseException) -> str:
    """Type, place and - where it cannot quote an event - text of an error and of what caused it."""
    parts: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(parts) < 4:
        quotable = isinstance(seen, KafkaError | OSError | RuntimeFailure | StageFailure)
        text = f": {seen}" if quotable and str(seen) else ""
        parts.append(f"{type(seen).__name__}{text} at {_place(seen)}")
        seen = seen.__cause__ or seen.__context__
    return "; caused by ".join(parts)


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_SHOWN_MAX:]
    return " < ".join(f"{PurePath(f.filename).name}:{f.lineno} {f.name}" for f in reversed(frames)) or "no frame"
