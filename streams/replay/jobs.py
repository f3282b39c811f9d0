"""A replay shared out to several processes: the same bytes, in the same order, from more than one core.

Theory of operation. Accounts do not know of each other, so each process takes the accounts of its share (`share_of`)
and leaves out the events of the others. Which account an event is of may depend on any earlier line (identity), and so
may what is refused: so every process reads every line. That costs each of them a tenth of the work, and needs no
agreement about anything but what is of all accounts (`peers`): there each process asks, and the one that started them
answers when all have asked. All ask at the same lines, because all read the same lines; so the answer is what one
process alone would have found, and what comes out is equal byte for byte.

Each process writes what it found, in order, to a file; who started them merges the files. They are forked: a program is
made of compiled functions, which cannot be sent to a process that was started anew.
"""

import pickle
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import Any

from streams.engine.columns import Looked
from streams.errors import ExpectedError
from streams.replay.lines import LineReader
from streams.replay.peers import Moved, Peers, Takes, Together, share_of
from streams.replay.run import Replay, Summary
from streams.replay.spool import Spool
from streams.replay.take import Taken, Watch, take_files

Made = Callable[[Takes, Peers], Replay]
"""The replay of a share, not yet begun."""


@dataclass(frozen=True, slots=True)
class _Read:
    to: int


@dataclass(frozen=True, slots=True)
class _Refused:
    place: str
    why: str


@dataclass(frozen=True, slots=True)
class _AskPercentiles:
    moved: Moved
    first: bool


@dataclass(frozen=True, slots=True)
class _AskAny:
    mine: bool


@dataclass(frozen=True, slots=True)
class _Failed:
    """A failure that was to be expected; its text is for the user."""

    why: str


@dataclass(frozen=True, slots=True)
class _Done:
    taken: Taken
    found: Path


class JobsError(ExpectedError):
    """A process of the replay could not go on."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that replays a share, and our end of the pipe to it."""

    process: ForkProcess
    connection: "Connection[Any, Any]"


@contextmanager
def started(jobs: int, made: Made, files: Sequence[str], folder: Path, *, strict: bool) -> Iterator[list[Worker]]:
    """So many processes that replay the files; they end with the block."""
    context = get_context("fork")
    pipes = [context.Pipe() for _ in range(jobs)]
    ends = [end for pipe in pipes for end in pipe]
    workers: list[Worker] = []
    try:
        for number, (ours, theirs) in enumerate(pipes):
            share = _Share(number, jobs, made, tuple(files), folder, strict)
            process = context.Process(target=_work, args=(share, theirs, [end for end in ends if end is not theirs]))
            process.start()
            workers.append(Worker(process, ours))
        for _, theirs in pipes:
            theirs.close()
        yield workers
    finally:
        for end in ends:
            end.close()
        for worker in workers:
            worker.process.terminate()
            worker.process.join()


def attend(workers: Sequence[Worker], watch: Watch) -> tuple[Taken, list[Path]]:
    """Hear all of them until they are done: what became of the lines, and the runs in which the transitions are."""
    done = _heard_out(workers, watch)
    taken = [one.taken for one in done]
    first = taken[0].summary  # all read the same lines: what was refused or left out is the same for each
    summary = Summary(
        sum((one.summary.outcomes for one in taken[1:]), first.outcomes),
        first.rejected,
        first.controls,
        first.after_until,
    )
    return Taken(summary, sum(one.accounts for one in taken), taken[0].stopped), [one.found for one in done]


def _heard_out(workers: Sequence[Worker], watch: Watch) -> list[_Done]:
    """What each said in the end. When all have asked, all are answered."""
    done: dict[int, _Done] = {}
    asked: dict[int, _AskPercentiles | _AskAny] = {}
    ranked = Together()
    with DefaultSelector() as selector:  # one for all: there may be thousands of questions
        for place, worker in enumerate(workers):
            selector.register(worker.connection, EVENT_READ, place)
        while len(done) < len(workers):
            for ready, _ in selector.select():
                match message := _heard(workers[ready.data]):
                    case _Read():
                        watch.read_to(message.to)
                    case _Refused():
                        watch.refused(message.place, message.why)
                    case _Failed():
                        raise JobsError(message.why)
                    case _Done():
                        done[ready.data] = message
                        selector.unregister(ready.fileobj)
                    case _:
                        asked[ready.data] = message
            if asked and len(asked) + len(done) == len(workers):
                assert not done, "all read the same lines, so all ask at the same ones"
                answer = pickle.dumps(_answer([*asked.values()], ranked))
                asked.clear()
                for worker in workers:
                    worker.connection.send_bytes(answer)
    return [done[place] for place in range(len(workers))]


def _answer(asked: Sequence[_AskPercentiles | _AskAny], ranked: Together) -> list[list[Any]] | bool:
    looks = [one for one in asked if isinstance(one, _AskPercentiles)]
    if looks:
        assert len(looks) == len(asked), "all ask the same"
        return ranked.percentiles([one.moved for one in looks], first=looks[0].first)
    return any(one.mine for one in asked if isinstance(one, _AskAny))


def _heard(worker: Worker) -> Any:
    try:
        return worker.connection.recv()
    except EOFError:
        worker.process.join()
        code = worker.process.exitcode
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            raise JobsError(f"a process of the replay was ended by {name}; with fewer --jobs it needs less") from None
        raise RuntimeError(f"a process of the replay ended with {code}, as it says above") from None


# -- in a process of its own -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Share:
    number: int
    jobs: int
    made: Made
    files: tuple[str, ...]
    folder: Path
    strict: bool


def _work(share: _Share, connection: "Connection[Any, Any]", others: "Sequence[Connection[Any, Any]]") -> None:
    for other in others:
        other.close()  # so that each end is held by one process, and its death is heard at the other
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started us ends us
    try:
        connection.send(_replayed(share, connection))
    except ExpectedError as error:
        connection.send(_Failed(str(error)))


def _replayed(share: _Share, connection: "Connection[Any, Any]") -> _Done:
    spool = Spool(share.folder, f"share{share.number}")
    run = share.made(share_of(share.number, share.jobs), _Asking(connection))
    watch = _Telling(connection) if share.number == 0 else _Silent()
    taken = take_files(run, LineReader([*share.files]), spool, watch, strict=share.strict)
    return _Done(taken, spool.to_file())


class _Asking:
    """The other shares, as one of them sees them."""

    def __init__(self, connection: "Connection[Any, Any]") -> None:
        self._connection = connection

    def percentiles(self, looked: Looked) -> list[list[Any]]:
        moved = [(column.gone, column.come) for column in looked.columns]
        self._connection.send_bytes(pickle.dumps(_AskPercentiles(moved, looked.first)))
        found: list[list[Any]] = self._connection.recv()
        return found

    def any(self, mine: bool) -> bool:  # noqa: FBT001 - it is what is asked
        self._connection.send(_AskAny(mine))
        return bool(self._connection.recv())


class _Telling:
    """All read the same lines: one tells how it goes."""

    def __init__(self, connection: "Connection[Any, Any]") -> None:
        self._connection = connection

    def read_to(self, bytes_read: int) -> None:
        self._connection.send(_Read(bytes_read))

    def refused(self, place: str, why: str) -> None:
        self._connection.send(_Refused(place, why))


class _Silent:
    def read_to(self, bytes_read: int) -> None:
        pass

    def refused(self, place: str, why: str) -> None:
        pass
