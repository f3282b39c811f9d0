"""Intake: product events in, account events out.

Theory of operation. Each record of `product.events.v1` is adapted (`adapters/`), its account is found (`identity`),
and it leaves as a record of `account.events.v1`: keyed by the account, its bytes and its Kafka timestamp - its
arrival - unchanged, so that the engine decides on what the producer sent and on when it came, not on when intake
saw it. A record for which that is impossible leaves as a dead letter with the reason (`dead_letters`), unless too
many do (`streams.runtime.rejects`).

The stage's state is what it knows of users, and the window of refusals. Both are rows of the changelog; the
window's key begins with a NUL, as no learned user's does. A flush writes what changed since the last one, each row
once.

Everything here is a function of the records in their order. This module knows no Kafka, clock or event loop.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from schemas.dead_letter import Rejected, RejectReason
from streams.intake.adapters import Adapter
from streams.intake.identity import Identity
from streams.runtime.dead_letters import RefusedAt, dead_letter
from streams.runtime.headers import passed_on, require_readable
from streams.runtime.rejects import RejectWindow
from streams.runtime.stage import Drained, InputRecord, Output
from streams.tracing import follow

STAGE: Final = "intake"
WINDOW_KEY: Final = b"\x00rejects"
UNDRAINED_RECORDS_MAX: Final = 50_000
UNDRAINED_BYTES_MAX: Final = 32 << 20
"""What may wait for a flush, per partition; from there on no more batches are taken."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where records come from and go to."""

    source: str
    accepted: str
    refused: str


class IntakeStage:
    """State and logic of one partition of product events; see `streams.runtime.stage.Stage`."""

    def __init__(self, partition: int, route: Route, adapt: Adapter, identity: Identity, window: RejectWindow) -> None:
        self._number = partition
        self._refused_at = RefusedAt(STAGE, route.source, partition, route.refused)
        self._route = route
        self._adapt = adapt
        self._identity = identity
        self._window = window
        self._outputs: list[Output] = []
        self._undrained_bytes = 0
        self._headers_cut = 0
        self._rejected: dict[RejectReason, int] = dict.fromkeys(RejectReason, 0)

    @property
    def counts(self) -> Mapping[str, int]:
        """Totals by the names of `streams.metrics`."""
        return {
            **{f"rejected:{reason}": count for reason, count in self._rejected.items() if count},
            **{f"accounts_resolved:{via}": count for via, count in self._identity.resolved.items() if count},
            "evicted:identities": self._identity.users.evicted,
            "cut:header": self._headers_cut,
        }

    @property
    def gauges(self) -> Mapping[str, int]:
        """Levels by the names of `streams.metrics`."""
        return {"state_rows": len(self._identity.users), "state_bytes": self._identity.users.stored_bytes}

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take one row of the changelog."""
        if key == WINDOW_KEY:
            self._window.restore(value)
        else:
            self._identity.users.restore(key.decode(), None if value is None else value.decode())

    def restored(self) -> None:
        """Nothing is left to do: rows take effect as they come."""

    def apply(self, records: Sequence[InputRecord]) -> None:
        """Turn a batch into outputs; raises `RejectRatioExceededError`."""
        adapt, take, topic, append = self._adapt, self._identity.take, self._route.accepted, self._outputs.append
        number = self._number
        noted = 0
        size_bytes = 0
        for index, record in enumerate(records):
            value = record.value
            headers = record.headers
            if value is None:
                rejected = Rejected(RejectReason.NULL_VALUE, "the record has no value")
            else:
                try:
                    if headers:
                        require_readable(headers)
                    event, passed = adapt(value)
                    key = take(event).encode()
                except Rejected as refusal:
                    rejected = refusal
                else:
                    size_bytes += len(passed)
                    kept = follow.passed_on(passed_on(headers), STAGE, number, record.offset) if headers else ()
                    self._headers_cut += len(headers) - len(kept)
                    append(Output(topic, key, passed, kept, None, record.timestamp))
                    continue
            self._window.accept(index - noted)
            noted = index + 1
            self._refuse(record, rejected)
        self._window.accept(len(records) - noted)
        self._undrained_bytes += size_bytes

    def _refuse(self, record: InputRecord, rejected: Rejected) -> None:
        self._window.reject(rejected.reason)
        self._rejected[rejected.reason] += 1
        letter = dead_letter(record, rejected, self._refused_at)
        self._outputs.append(letter)
        self._undrained_bytes += len(letter.value or b"")

    def on_tick(self, now_ms: int, *, caught_up: bool) -> None:
        """Nothing is due by the clock."""

    def position(self, next_offset: int) -> int:
        """Every record is done with as soon as it is applied."""
        return next_offset

    def drain(self) -> Drained:
        """Outputs and rows since the last call."""
        outputs, self._outputs = self._outputs, []
        self._undrained_bytes = 0
        changes: list[tuple[bytes, bytes | None]] = [
            (user.encode(), None if account is None else account.encode())
            for user, account in self._identity.users.take_changes().items()
        ]
        changes += self._window.changes(WINDOW_KEY)
        return Drained(outputs, changes)

    def dirty(self) -> bool:
        """Whether there is anything to drain."""
        return bool(self._outputs) or self._window.moved or self._identity.users.changed

    def saturated(self) -> bool:
        """Whether the flushes have fallen behind."""
        return len(self._outputs) >= UNDRAINED_RECORDS_MAX or self._undrained_bytes >= UNDRAINED_BYTES_MAX

    def close(self) -> None:
        """Nothing is held but memory."""
