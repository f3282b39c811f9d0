"""W3C trace context (traceparent, tracestate) on its way through the topics.

Theory of operation. A producer that traces an event puts the header `traceparent` on its record: the trace, the span
that the record came from, and whether the trace is sampled. What is sampled is followed; everything else is left as it
is and costs nothing.

    product.events.v1      intake      account.events.v1     engagement      segments.transitions.v1
    traceparent: T, s0  ──────────▶  traceparent: T, s1  ────────────▶  traceparent: T, s2   ──▶ router ──▶ courier

Each stage's work on a record is one span. Its id is not drawn but *derived*: from the context that the record carries,
the stage, and the record's place. So what is written is a function of the log, tracing turned on or off: whoever
applies the record again, after a crash or in a replay, writes the same bytes; and the router and the courier, which
pass on a transition's headers as they are, know the ids of spans that they did not write down.

Headers come from outside. One that is no valid version 00 context, or that stands there twice, is no context.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
TRACEPARENT_BYTES: Final = 55
TRACESTATE_BYTES_MAX: Final = 512
SAMPLED: Final = 1
SPAN_ID_BYTES: Final = 8

_VALID: Final = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_NO_TRACE: Final = "0" * 32
_NO_SPAN: Final = "0" * 16

Headers = Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A sampled span of somebody's: what a record carries. Ids are hexadecimal."""

    trace_id: str
    span_id: str

    def header(self) -> bytes:
        return f"00-{self.trace_id}-{self.span_id}-01".encode()

    def child(self, *place: str | int) -> "TraceContext":
        """The span of the work that is done because of this one at a place: the same whenever it is asked for."""
        words = "\x1f".join((self.trace_id, self.span_id, *map(str, place)))
        digest = hashlib.blake2b(words.encode("utf-8", "surrogatepass"), digest_size=SPAN_ID_BYTES).hexdigest()
        return TraceContext(self.trace_id, digest if digest != _NO_SPAN else _NO_SPAN[:-1] + "1")


def context_of(headers: Headers) -> TraceContext | None:
    """The sampled context that a record carries, if it carries one."""
    found: bytes | None = None
    for name, value in headers:
        if name == TRACEPARENT:
            if found is not None or value is None:
                return None
            found = value
    return None if found is None else parse(found)


def parse(header: bytes) -> TraceContext | None:
    """A valid and sampled context."""
    if len(header) != TRACEPARENT_BYTES or (match := _VALID.fullmatch(header)) is None:
        return None
    trace_id, span_id = match[1].decode(), match[2].decode()
    if trace_id == _NO_TRACE or span_id == _NO_SPAN or not int(match[3], 16) & SAMPLED:
        return None
    return TraceContext(trace_id, span_id)


def state_of(headers: Headers) -> bytes | None:
    """What else its producer says of the trace, if that is not too long."""
    found = next((value for name, value in headers if name == TRACESTATE), None)
    return found if found and len(found) <= TRACESTATE_BYTES_MAX else None


def carried(context: TraceContext, state: bytes | None) -> list[tuple[str, bytes]]:
    """The headers that carry a context on."""
    headers = [(TRACEPARENT, context.header())]
    if state is not None:
        headers.append((TRACESTATE, state))
    return headers
