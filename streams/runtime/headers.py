"""Which headers of a producer's record are passed on.

Names that begin with `pegel-` are Pegel's own: a control record is told from an event by such a header, so one from
outside must never get through. The rest is passed on in order, as far as the bounds allow: tracing headers belong
to the event.
"""

from collections.abc import Sequence

from schemas.dead_letter import PEGEL_HEADER_PREFIX
from streams.limits import HEADERS_BYTES_MAX, HEADERS_MAX

PassedOn = list[tuple[str, bytes]]


def passed_on(headers: Sequence[tuple[str, bytes | None]]) -> PassedOn:
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
