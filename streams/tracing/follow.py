"""Which span is whose: contexts of a record's work, stage by stage. Pure."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from schemas.dead_letter import Rejected
from schemas.inbox import original_of
from schemas.trace import TRACEPARENT, TraceContext, carried, context_of, state_of

Headers = Sequence[tuple[str, bytes | None]]


class Followed(NamedTuple):
    """The work on a record, and what it is done because of."""

    parent: TraceContext
    own: TraceContext


class Place(Protocol):
    """Where a transition's record lies, and with which headers."""

    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def headers(self) -> Headers: ...


def followed(stage: str, partition: int, offset: int, headers: Headers) -> Followed | None:
    """A stage's work on a record, if that is traced."""
    context = context_of(headers)
    if context is None:
        return None
    if stage == "courier":
        return _at_courier(context, headers)
    return Followed(context, context.child(stage, partition, offset))


def at_destination(source: Place, destination: str) -> TraceContext | None:
    """The courier's work on a transition for a destination, known by the transition's own record."""
    context = context_of(source.headers)
    return None if context is None else _routed(context, source.partition, source.offset).child("courier", destination)


def attempt_at(work: TraceContext, delivery_id: str, began_ms: int) -> TraceContext:
    """One attempt of a delivery."""
    return work.child("attempt", delivery_id, began_ms)


def passed_on(headers: list[tuple[str, bytes]], stage: str, partition: int, offset: int) -> list[tuple[str, bytes]]:
    """A record's headers for the record that it becomes: the same, but that they come from here."""
    for name, _ in headers:
        if name == TRACEPARENT:
            break
    else:  # most have none
        return headers
    work = followed(stage, partition, offset, headers)
    if work is None:
        return headers
    return [(name, work.own.header() if name == TRACEPARENT else value) for name, value in headers]


def led_to(headers: Headers, stage: str, partition: int, offset: int) -> list[tuple[str, bytes]]:
    """Headers for what a record led to: none if it is not traced."""
    work = followed(stage, partition, offset, headers)
    return [] if work is None else carried(work.own, state_of(headers))


def _at_courier(context: TraceContext, headers: Headers) -> Followed | None:
    try:
        destination, original = original_of(headers)
    except Rejected:
        return None
    routed = _routed(context, original.partition, original.offset)
    return Followed(routed, routed.child("courier", destination))


def _routed(context: TraceContext, partition: int, offset: int) -> TraceContext:
    """The router passes headers on as they are, so its span must be known by the transition's place."""
    return context.child("router", partition, offset)
