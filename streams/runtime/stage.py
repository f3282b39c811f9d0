"""What a stage owes the runtime, and what the runtime owes a stage.

Theory of operation
-------------------
A *stage* is the state and the logic of one input partition. There is one stage object per assigned partition; all its
methods are called in the event loop's thread, one at a time, and none of them awaits. Its life, in this order:

1. ``factory(partition)`` builds it, empty;
2. ``restore(key, value)`` for every row of the changelog partition of the same number, in log order (so the last row of
   a key wins; ``None`` is a tombstone), then ``restored()`` once;
3. ``apply(records)`` with records in offset order, from the committed offset on, each exactly once as far as the stage
   can see: after a crash a new object starts from the state and the offset of the last committed flush;
4. ``on_tick(now_ms, caught_up=...)`` about every 200 ms, between batches; where the stage is ``Sliced``, ``work_off()``
   again and again while it has a backlog, batches and flushes having their turns in between;
5. ``close()`` when the partition is revoked, the worker stops, or the runtime has failed.

A *flush* takes ``drain()`` and ``position(next_offset)`` together, with no await in between, and writes both as one
Kafka transaction: outputs, changelog rows and the offset become visible together or not at all. A stage therefore
never asks whether something was written; if it was not, the process ends and the stage is rebuilt from what was.

An exception out of any method ends the process (fail stop): nothing more is committed. Input that is merely bad is the
stage's business (a dead letter); an exception means that the program is wrong. The log names the exception's type and
place but not its text, which may quote an event; a stage that wants its words in the log raises ``StageFailure``.
A stage that runs asyncio tasks of its own makes itself ``dirty`` when they finish, and raises their unexpected failures
from the next ``on_tick``.

This module is pure: it knows no Kafka client.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Protocol, TypeGuard, runtime_checkable

import msgspec

from streams.runtime.alignment import Alignment
from streams.tracing.spans import Span

Headers = Sequence[tuple[str, bytes | None]]

KINDS_MAX: Final = 32


class StageFailure(Exception):  # noqa: N818 - what it says is why the worker stopped
    """The stage refuses to go on. The text goes to the log and must quote no event and no secret."""


class StateUnreadable(StageFailure):
    """Another version wrote the stage's state, or it is damaged: this one cannot begin with it."""


class InputRecord(Protocol):
    """One fetched record, as the client's C extension gives it (nothing is copied per record).

    ``headers`` values may be ``None`` on the wire; ``timestamp`` is milliseconds UTC.
    """

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


class Output(msgspec.Struct, frozen=True, gc=False):
    """A record to write. Without a partition it goes where murmur2 of the key says, as Java clients would put it.

    A struct and no dataclass, since one is made per event: that takes a tenth of the time.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    partition: int | None = None
    timestamp_ms: int | None = None
    """Kafka timestamp; ``None``: the time of the flush."""


@dataclass(frozen=True, slots=True)
class Drained:
    """What a stage hands over to one flush. Neither list is touched by the stage afterwards."""

    outputs: list[Output] = field(default_factory=list)
    changes: list[tuple[bytes, bytes | None]] = field(default_factory=list)
    """Rows in order, ``None`` = tombstone, for the changelog partition of the input partition's number.

    A key is never empty: the empty key is the runtime's own row.
    """
    fresh: Sequence[tuple[int, str]] | None = None
    """Of each transition among the outputs that a record led to: when the record arrived, and the transition's id.

    ``None``: the stage does not say how fresh its outputs are, and the runtime takes samples.
    """
    spans: Sequence[Span] = ()
    """What the stage did beside taking records, of records that are traced."""


class Stage(Protocol):
    """State and logic of one input partition. See the module's theory of operation."""

    @property
    def counts(self) -> Mapping[str, int]:
        """Growing totals since the stage was built, by count name (``streams.metrics`` says which there are).

        ``name`` or ``name:label`` (``rejected:not_json``); the runtime exports the growth.
        """
        ...

    @property
    def gauges(self) -> Mapping[str, float]:
        """Present levels, by gauge name (``state_rows``, ``name:word``); exported is their sum, or the greatest."""
        ...

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take one changelog row (``None`` = tombstone)."""
        ...

    def restored(self) -> None:
        """Note that the changelog has been read to its end."""
        ...

    def apply(self, records: Sequence[InputRecord]) -> None:
        """Apply a batch in offset order."""
        ...

    def on_tick(self, now_ms: int, *, caught_up: bool) -> None:
        """Do what is due by wall clock; ``caught_up``: every record visible in the partition has been applied."""
        ...

    def position(self, next_offset: int) -> int:
        """Return the offset that may be committed, all records below ``next_offset`` having been applied.

        ``next_offset`` itself unless a record is still at work. Must never fall, must never exceed ``next_offset``.
        """
        ...

    def drain(self) -> Drained:
        """Hand over everything new since the last call."""
        ...

    def dirty(self) -> bool:
        """Say whether ``drain`` would return anything."""
        ...

    def saturated(self) -> bool:
        """Say whether the stage wants no more batches for now (back-pressure)."""
        ...

    def close(self) -> None:
        """Let go of tasks and memory; nothing of this object will be flushed any more."""
        ...


@runtime_checkable
class Settling(Protocol):
    """A stage that is at work outside of its calls, in tasks of its own, and can bring that to an end."""

    async def settle(self) -> None:
        """Begin nothing more until the next ``apply`` or ``on_tick``, and wait a few seconds for what is under way.

        Called before the last flush of a revocation or a stop, which then knows how it ended.
        """
        ...


@runtime_checkable
class Sliced(Protocol):
    """A stage whose records may cause more work than may be done at once."""

    def has_backlog(self) -> bool:
        """Say whether any such work is left."""
        ...

    def work_off(self) -> bool:
        """Do a few milliseconds of it; ``False`` if nothing was done: none is left, or a flush has to come first.

        What is left at a crash is found again in the rows that were flushed.
        """
        ...


@runtime_checkable
class Pressing(Protocol):
    """A stage that knows what of its news others wait for."""

    def pressing(self) -> bool:
        """Say whether ``drain`` would return anything that should not wait; the rest is state, which may."""
        ...


def is_pressing(stage: Stage) -> TypeGuard[Pressing]:
    return _fulfils(type(stage), Pressing)


def is_sliced(stage: Stage) -> TypeGuard[Sliced]:
    return _fulfils(type(stage), Sliced)


@lru_cache(maxsize=KINDS_MAX)
def _fulfils(kind: type, protocol: type) -> bool:
    """Asked with each batch and each flush, and Python takes microseconds to compare a class with a protocol."""
    return issubclass(kind, protocol)


class StageFactory(Protocol):
    """Builds the empty stage of one input partition."""

    def __call__(self, partition: int) -> Stage: ...


Lifespan = Callable[[], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class StageSpec:
    """Everything the runtime must know to run a stage."""

    name: str
    """``intake`` | ``engagement`` | ``router`` | ``courier``: consumer group, ids and metric label come from it."""
    input_topic: str
    changelog_topic: str
    """Compacted, with as many partitions as the input topic."""
    factory: StageFactory
    output_topics: tuple[str, ...] = ()
    """Every topic that an ``Output`` may name; they must exist before the worker starts."""
    read_topics: tuple[str, ...] = ()
    """What it reads beside its input, outside of any group."""
    lifespan: Lifespan | None = None
    """Entered in the event loop before the first partition is assigned, left after the last one is closed."""
    metric_words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The words of metric labels that only this deployment knows (`streams.metrics.Whence.DEPLOYED`)."""
    alignment: Alignment | None = None
    """How far the partitions of one worker may be apart in arrival time while they catch up; ``None``: at will."""
