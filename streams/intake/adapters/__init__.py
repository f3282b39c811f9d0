"""What producers send, one format a file.

An adapter takes a record's bytes and gives the event in them, together with the bytes to pass on: the engine reads bare
Segment-spec JSON, so a format that wraps it is unwrapped here, and one that is bare already passes on what came. An
adapter that cannot read its input raises `Rejected`.
"""

from collections.abc import Callable
from typing import TypeAlias

from schemas.wire_event import WireEvent

Adapter: TypeAlias = Callable[[bytes], tuple[WireEvent, bytes]]
