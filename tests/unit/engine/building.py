"""Building blocks of engine tests: small catalogs, and logs written as calls.

Times are milliseconds UTC, counted from `START`, a Monday noon, unless a test says otherwise; `DAY` is a day of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import msgspec

from schemas.catalog import Catalog
from schemas.timestamps import format_ms
from schemas.wire import decode_event
from schemas.wire_event import WireEvent
from streams.engine.account import Account
from streams.engine.found import Transition
from streams.engine.partition import Outcome, Partition
from streams.engine.program import Program, compile_catalog
from streams.engine.working import Working

START: Final = 1_772_452_800_000  # 2026-03-02T12:00:00Z
SECOND: Final = 1_000
HOUR: Final = 3_600_000
DAY: Final = 86_400_000
MIDNIGHT: Final = START + 12 * HOUR
GRACE: Final = 60_000


def catalog_of(*segments: str | dict[str, Any], **entries: Any) -> Catalog:
    """A catalog of rules (named s0, s1, ...) or whole segments."""
    written = [
        {"id": f"s{place}"} | ({"when": segment} if isinstance(segment, str) else segment)
        for place, segment in enumerate(segments)
    ]
    return Catalog.model_validate({"format": 1, "name": "test", "segments": written, **entries})


def program_of(*segments: str | dict[str, Any], **entries: Any) -> Program:
    return compile_catalog(catalog_of(*segments, **entries))


def event_bytes(fields: dict[str, Any]) -> bytes:
    return msgspec.json.encode(fields)


def event_of(fields: dict[str, Any]) -> tuple[WireEvent, bytes]:
    raw = event_bytes(fields)
    return decode_event(raw), raw


@dataclass
class Log:
    """A partition's log as it is written: every call is one record, applied at once."""

    program: Program
    partition: Partition = field(init=False)
    transitions: list[Transition] = field(default_factory=list)
    ids: Iterator[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.partition = Partition(self.program)

    def record(
        self, fields: dict[str, Any], t: int, *, a: int | None = None, account: str = "acme", message: str | None = None
    ) -> Outcome:
        """One record of time `t` that arrived at `a` (at once, if not said), with a message id of its own."""
        named = {"messageId": message or f"m{next(self.ids)}", "timestamp": format_ms(t)}
        event, raw = event_of(fields | named)
        outcome = self.partition.apply(account, event, raw, t if a is None else a)
        self.take()
        return outcome

    def track(
        self,
        name: str,
        t: int,
        properties: dict[str, Any] | None = None,
        *,
        user: str | None = None,
        a: int | None = None,
        account: str = "acme",
        message: str | None = None,
    ) -> Outcome:
        fields = {"type": "track", "event": name, "properties": properties or {}} | ({"userId": user} if user else {})
        return self.record(fields, t, a=a, account=account, message=message)

    def group(self, traits: dict[str, Any], t: int, *, a: int | None = None, account: str = "acme") -> Outcome:
        return self.record({"type": "group", "traits": traits}, t, a=a, account=account)

    def clock(self, at: int) -> None:
        self.partition.advance_clock(at)
        self.take()

    def until(self, at: int) -> None:
        self.partition.advance_to(at)
        self.take()

    def take(self) -> None:
        self.transitions += self.partition.take_transitions()

    def account(self, account: str = "acme") -> Account:
        found = self.partition.account(account)
        assert found is not None, "the account exists"
        return found[0]

    def working(self, account: str = "acme") -> Working:
        found = self.partition.account(account)
        assert found is not None, "the account exists"
        return found[1]

    def members(self, account: str = "acme") -> set[str]:
        return set(self.account(account).members)

    def story(self, segment: str | None = None) -> list[tuple[str, str, int]]:
        """(segment, direction, effective_at) of all transitions so far, or of those of one segment."""
        return [
            (found.segment, found.direction, found.effective_at)
            for found in self.transitions
            if segment is None or found.segment == segment
        ]
