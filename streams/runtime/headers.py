"""Which headers of a producer's record are passed on, and which make it unreadable.

Names that begin with `pegel-` are Pegel's own: a control record is told from an event by such a header, so one from
outside must never get through. The rest is passed on in order, as far as the bounds allow: tracing headers belong
to the event.
"""

from collections.abc import Sequence

from schemas.dead_letter import PEGEL_HEADER_PREFIX, UNREADABLE_HEADER, Rejected, RejectReason
from streams.limits import HEADERS_BYTES_MAX, HEADERS_MAX

PassedOn = list[tuple[str, bytes]]
Headers = Sequence[tuple[str, bytes | None]]


def passed_on(headers: Headers) -> PassedOn:
    """The headers to pass on; a header without a value has an empty one."""
    kept: PassedOn = []
    size_bytes = 0
    for name, value in headers:
        if name.lower().startswith(PEGEL_HEADER_PREFIX):
            continue
        size_bytes += len(name) + len(value or b"")
        if len(kept) >= HEADERS_MAX or size_bytes > HEADERS_BYTES_MAX:
            break
        kept.append((name, value or b""))
    return kept


def require_readable(headers: Headers) -> None:
    """Raise `Rejected` for a record that could not be read whole; its last header says so."""
    if headers and headers[-1][0] == UNREADABLE_HEADER:
        what, _, detail = (headers[-1][1] or b"").decode("utf-8", "replace").partition(": ")
        reason = RejectReason.BAD_BATCH if what == "batch" else RejectReason.BAD_HEADERS
        raise Rejected(reason, detail or "the record is marked as unreadable")
