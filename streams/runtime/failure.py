"""Fail stop: the first unexpected error decides, and nothing is committed after it.

Theory of operation. A worker's memory is only trusted while everything went right. On the first error ``fail`` latches
its reason; every flush asks ``check`` before it begins, so that no transaction is opened any more, and one that is open
stays uncommitted until the next owner's fence aborts it. The process then ends with ``EXIT_FAILED``; its successor
starts from what was committed. Later errors are usually consequences of the first: they are not logged.

What is logged never quotes an event: an exception's own text is shown only where the program's own code or the Kafka
client wrote it.
"""

import asyncio
import traceback
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import PurePath
from typing import Final

from aiokafka.errors import KafkaError

from streams import log_events
from streams.runtime.stage import StageFailure, StateUnreadable

EXIT_OK: Final = 0
EXIT_FAILED: Final = 70
FRAMES_SHOWN_MAX: Final = 12
CAUSES_SHOWN_MAX: Final = 4


class FailReason(StrEnum):
    """Why a worker ended itself; a metric label and a word in the log."""

    STAGE = "stage"
    FLUSH = "flush"
    ASSIGNMENT = "assignment"
    STATE = "state"
    """Its state cannot be read: mostly that of a newer version."""
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

    def __init__(self, on_fail: Callable[[FailReason], None] = lambda _: None) -> None:
        """`on_fail` is told of the first failure, once."""
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
        self.reason = reason = FailReason.STATE if isinstance(error, StateUnreadable) else reason
        log_events.WORKER_STOPS.tell(reason=reason.value, error=named(error), stack=places(error))
        self._on_fail(reason)
        self._happened.set()

    def check(self) -> None:
        if self.reason is not None:
            raise RuntimeFailure(f"the worker has failed ({self.reason.value}); nothing is committed any more")

    async def wait(self) -> FailReason:
        await self._happened.wait()
        assert self.reason is not None
        return self.reason


def described(error: BaseException) -> str:
    """What an error is, and where it came from, in one sentence."""
    return f"{named(error)} at {' < '.join(places(error)) or 'no frame'}"


def named(error: BaseException) -> str:
    """Type and - where it cannot quote an event - text of an error and of what caused it."""
    parts = []
    for one in _chain(error):
        quotable = isinstance(one, KafkaError | OSError | RuntimeFailure | StageFailure)
        parts.append(f"{type(one).__name__}: {one}" if quotable and str(one) else type(one).__name__)
    return "; caused by ".join(parts)


def places(error: BaseException) -> list[str]:
    """Where in the program an error came from, innermost first, and after it what caused it."""
    found: list[str] = []
    for one in _chain(error):
        if one is not error:
            found.append(f"caused by {type(one).__name__}")
        frames = traceback.extract_tb(one.__traceback__)[-FRAMES_SHOWN_MAX:]
        found += [f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames)]
    return found


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    for _ in range(CAUSES_SHOWN_MAX):
        if seen is None:
            return
        yield seen
        seen = seen.__cause__ or seen.__context__
