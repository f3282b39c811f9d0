"""Virtual time: an event loop whose clock jumps to the next timer, and processes that it can stop, thaw and kill.

Theory of operation. Nothing sleeps and nothing reads a clock: when no callback is ready, time is what the next timer
says. With one random generator for every choice a run is a function of its seed. Callbacks belong to the process in
whose context they were made; that of a dead process is dropped and that of a frozen one is kept for the thaw, so
``kill -9`` and SIGSTOP hit a worker at exactly the await at which they fall. What has no process is the outside world:
brokers, network, the faults themselves.
"""

import asyncio
import heapq
import warnings
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any, Final, TypeVar

T = TypeVar("T")

OWNER: "Final[ContextVar[Process | None]]" = ContextVar("owner", default=None)
CLOSES_MAX: Final = 8


class Process:
    """A process of the operating system, as the loop sees it."""

    __slots__ = ("alive", "frozen", "held", "name", "on_death", "steps", "steps_left")

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.frozen = False
        self.steps = 0
        self.steps_left = -1
        """Callbacks until it is killed; negative: it is not marked for death."""
        self.held: list[Handle] = []
        self.on_death: Callable[[], None] = lambda: None

    def kill(self) -> None:
        if self.alive:
            self.alive = False
            self.held.clear()
            self.on_death()


class Handle:
    """A callback that will run, later or now. What asyncio asks of one."""

    __slots__ = ("args", "callback", "context", "is_cancelled", "process", "when_s")

    def __init__(self, callback: Callable[..., Any], args: tuple[Any, ...], context: Context, when_s: float) -> None:
        self.callback = callback
        self.args = args
        self.context = context
        self.process = context.get(OWNER)
        self.is_cancelled = False
        self.when_s = when_s

    def cancel(self) -> None:
        self.is_cancelled = True

    def cancelled(self) -> bool:
        return self.is_cancelled

    def when(self) -> float:
        return self.when_s


class OutOfSteps(Exception):  # noqa: N818 - a verdict, not an error
    """The run turns without end."""


class SimLoop(asyncio.AbstractEventLoop):
    """One run. ``world`` is the context of everything that is no process."""

    def __init__(self, steps_max: int) -> None:
        self.now_s = 0.0
        self.steps = 0
        self.world = copy_context()
        self._steps_max = steps_max
        self._ready: deque[Handle] = deque()
        self._timers: list[tuple[float, int, Handle]] = []
        self._timers_made = 0
        self._stopping = False
        self._tasks: list[asyncio.Task[Any]] = []

    # -- what asyncio asks of a loop -----------------------------------------------------------------------------------

    def time(self) -> float:
        return self.now_s

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Context | None = None) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        # Tasks of killed processes stay pending for ever: they are held to the end, and nobody is told.
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        self._tasks.append(task)
        return task

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> Any:  # type: ignore[override]
        handle = Handle(callback, args, copy_context() if context is None else context, self.now_s)
        self._ready.append(handle)
        return handle

    def call_at(self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> Any:  # type: ignore[override]
        handle = Handle(callback, args, copy_context() if context is None else context, when)
        self._timers_made += 1
        heapq.heappush(self._timers, (when, self._timers_made, handle))
        return handle

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> Any:  # type: ignore[override]
        return self.call_at(self.now_s + delay, callback, *args, context=context)

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Any:
        return self.call_soon(callback, *args, context=context)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Say nothing: a task's exception that nobody fetched is the driver's business, and the verdict's."""

    def stop(self) -> None:
        self._stopping = True

    # -- running -------------------------------------------------------------------------------------------------------

    def later(self, delay_s: float, callback: Callable[..., Any], *args: Any) -> None:
        """Call from the outside world: whoever dies meanwhile, this happens."""
        self.call_at(self.now_s + delay_s, callback, *args, context=self.world)

    def spawn(self, process: Process | None, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a task inside of a process."""
        context = self.world.copy()
        context.run(OWNER.set, process)
        return self.create_task(work, context=context)

    def thaw(self, process: Process) -> None:
        """Let a frozen process go on where it stood."""
        process.frozen = False
        self._ready.extend(process.held)
        process.held.clear()

    def run_until_stopped(self) -> None:
        """Run until ``stop``; raise ``OutOfSteps`` when that does not come."""
        ready, timers = self._ready, self._timers
        events._set_running_loop(self)
        try:
            while not self._stopping:
                if ready:
                    self._step(ready.popleft())
                elif timers:
                    when_s, _, handle = heapq.heappop(timers)
                    if not handle.is_cancelled:
                        self.now_s = max(self.now_s, when_s)
                        self._step(handle)
                else:
                    raise OutOfSteps("nothing is left to happen")
                if self.steps > self._steps_max:
                    raise OutOfSteps(f"no end after {self.steps} steps")
        finally:
            events._set_running_loop(None)

    def _step(self, handle: Handle) -> None:
        if handle.is_cancelled:
            return
        process = handle.process
        if process is not None:
            if not process.alive:
                return
            if process.frozen:
                process.held.append(handle)
                return
            process.steps += 1
            if process.steps_left >= 0:
                process.steps_left -= 1
                if process.steps_left < 0:
                    process.kill()
                    return
        self.steps += 1
        handle.context.run(handle.callback, *handle.args)

    def close(self) -> None:
        """Unwind what is pending; what its ``finally`` blocks try to do happens in no world."""
        self._ready.clear()
        self._timers.clear()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for task in self._tasks:
                if task.done():
                    if not task.cancelled():
                        task.exception()
                    continue
                for _ in range(CLOSES_MAX):
                    try:
                        task.get_coro().close()
                        break
                    except BaseException:  # noqa: BLE001 - a dead process says nothing; it is closed once more
                        continue
            self._tasks.clear()
