"""The engagement stage: one partition of the log, from records to transitions, memberships and state.

    account.events.v1 ──▶ engine.Partition ──▶ segments.transitions.v1, segments.membership.v1
      events, controls          │          ──▶ account.events.v1.late   (activity older than the windows)
                                │          ──▶ account.events.v1.dlq    (what cannot be used)
                                └──────────▶ changelog: one row per changed account and flush, one for the partition

Theory of operation. This file translates between records and the engine; it decides nothing about segments. A batch is
applied record by record; what it changed is encoded when a flush asks for it, so that an account costs one changelog
row per flush however many events it took. The partition's own row keeps the clock, the newest arrival and the
catalog in force with its content: state and rules are restored together, whatever the settings say by then.

Rows: `a` + account id -> encoded account; `p` -> `_PartitionRow`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from schemas.catalog import Catalog
from schemas.control import CONTROL_HEADER, CatalogChange, Clock, decode_control, encode_control
from schemas.dead_letter import DeadLetter, Rejected, RejectReason
from schemas.membership import encode_membership
from schemas.timestamps import format_ms
from schemas.transition import encode_transition, transition_headers
from schemas.wire import decode_event
from streams.engagement.clock import ClockMode, ClockReason, PartitionClock
from streams.engine.outgoing import wire_membership, wire_transition
from streams.engine.partition import Outcome, Partition
from streams.engine.program import Program, compile_catalog
from streams.engine.record import account_of_key
from streams.runtime.stage import Drained, InputRecord, Output
from streams.topics import Topics

_ACCOUNT_ROW: Final = b"a"
_PARTITION_ROW: Final = b"p"
PENDING_OUTPUTS_MAX: Final = 20_000


class _PartitionRow(msgspec.Struct, array_like=True):
    """What a partition remembers beside its accounts. `announced`: its log has a catalog record."""

    floor: int
    newest_arrival: int
    catalog: dict[str, Any]
    announced: bool


@dataclass(frozen=True, slots=True)
class EngagementConfig:
    """What the shell tells a stage. `program` is for a log that has no catalog yet."""

    program: Program
    topics: Topics
    clock: ClockMode
    clock_hold_ms: int


class EngagementStage:
    """One partition of the log. Pure: what it is told is all that it knows."""

    def __init__(self, number: int, config: EngagementConfig) -> None:
        self._number = number
        self._config = config
        self._topics = config.topics
        self._engine = Partition(config.program)
        self._clock = PartitionClock(config.clock, config.clock_hold_ms)
        self._outputs: list[Output] = []
        self._counts: Counter[str] = Counter()
        self._announced = False
        self._row: bytes | None = None

    @property
    def counts(self) -> Mapping[str, int]:
        return {**self._counts, **{noted.value: count for noted, count in self._engine.counts.items()}}

    @property
    def gauges(self) -> Mapping[str, int]:
        return {"state_rows": len(self._engine)}

    @property
    def program(self) -> Program:
        """The rules in force."""
        return self._engine.program

    # State

    def restore(self, key: bytes, value: bytes | None) -> None:
        if key == _PARTITION_ROW:
            self._row = value
        else:
            self._engine.restore(key[len(_ACCOUNT_ROW) :].decode(), value)

    def restored(self) -> None:
        if self._row is None:
            return
        row = msgspec.msgpack.decode(self._row, type=_PartitionRow)
        self._engine.floor = row.floor
        self._clock.newest_arrival = row.newest_arrival
        self._announced = row.announced
        catalog = Catalog.model_validate(row.catalog)
        program = compile_catalog(catalog, "the catalog in force")
        if program.version != self._engine.program.version:
            self._engine.program = program

    # Records

    def apply(self, records: Sequence[InputRecord]) -> None:
        for record in records:
            try:
                self._apply(record)
            except Rejected as rejected:
                self._reject(record, rejected)
        self._collect()

    def _apply(self, record: InputRecord) -> None:
        value = record.value
        for name, kind in record.headers:
            if name == CONTROL_HEADER:
                self._control(kind, value)
                return
        account_id = account_of_key(record.key)
        if value is None:
            raise Rejected(RejectReason.NULL_VALUE, "the record has no value")
        event = decode_event(value)
        self._clock.saw_arrival(record.timestamp)
        outcome = self._engine.apply(account_id, event, value, record.timestamp)
        if outcome is Outcome.TOO_LATE:
            self._outputs.append(
                Output(
                    self._topics.account_events_late, record.key, value, record.headers, timestamp_ms=record.timestamp
                )
            )

    def _control(self, kind: bytes | None, value: bytes | None) -> None:
        control = decode_control(kind, value)
        match control:
            case Clock():
                self._engine.advance_clock(control.at_ms)
                self._counts["controls:clock"] += 1
            case CatalogChange() if control.version == self.program.version:
                self._announced = True
                self._counts["controls:catalog"] += 1
            case _:
                detail = "only clock records, and the catalog in force, are supported by this version yet"
                raise Rejected(RejectReason.UNKNOWN_CONTROL, detail)

    def _reject(self, record: InputRecord, rejected: Rejected) -> None:
        letter = DeadLetter(
            original_topic=self._topics.account_events,
            original_partition=self._number,
            original_offset=record.offset,
            reason=rejected.reason,
            detail=rejected.detail,
            first_seen=format_ms(record.timestamp),
        )
        headers = (*record.headers, *letter.to_headers())
        self._outputs.append(Output(self._topics.account_events_dlq, record.key, record.value, headers))
        self._counts[f"rejected:{rejected.reason}"] += 1

    def _collect(self) -> None:
        """Turn what the engine found into outputs."""
        emitted_at = self._clock.wall_ms
        for found in self._engine.take_transitions():
            transition = wire_transition(found, emitted_at)
            self._outputs.append(
                Output(
                    self._topics.transitions,
                    found.account_id.encode(),
                    encode_transition(transition),
                    transition_headers(transition),
                )
            )
            self._counts[f"transitions:{found.direction}"] += 1

    # Time

    def on_tick(self, now_ms: int, *, caught_up: bool) -> None:
        self._clock.tick(now_ms)
        if not self._announced and caught_up:
            self._announce_catalog(now_ms)
        engine = self._engine
        reason, at = self._clock.decide(engine.next_deadline(), engine.floor, caught_up=caught_up)
        if reason is ClockReason.DUE:
            self._write_control(Clock(at=format_ms(at)), at)
            self._clock.wrote(at)

    def _announce_catalog(self, now_ms: int) -> None:
        """The first worker on a log writes which catalog applies; the content goes to the catalogs topic too."""
        self._announced = True
        program = self.program
        content = program.catalog.model_dump(mode="json")
        self._outputs.append(
            Output(self._topics.catalogs, program.version.encode(), msgspec.json.encode(content), partition=0)
        )
        self._write_control(CatalogChange(version=program.version, content=content), now_ms)

    def _write_control(self, control: Clock | CatalogChange, at: int) -> None:
        header, value = encode_control(control)
        self._outputs.append(
            Output(self._topics.account_events, None, value, (header,), partition=self._number, timestamp_ms=at)
        )

    # Flush

    def position(self, next_offset: int) -> int:
        return next_offset

    def dirty(self) -> bool:
        return bool(self._outputs) or self._engine.has_changes()

    def saturated(self) -> bool:
        return len(self._outputs) > PENDING_OUTPUTS_MAX

    def drain(self) -> Drained:
        memberships = self._due_memberships()
        changes: list[tuple[bytes, bytes | None]] = [
            (_ACCOUNT_ROW + account_id.encode(), encoded) for account_id, encoded in self._engine.take_changes()
        ]
        outputs, self._outputs = [*self._outputs, *memberships], []
        if outputs or changes:
            row = _PartitionRow(
                self._engine.floor,
                self._clock.newest_arrival,
                self.program.catalog.model_dump(mode="json"),
                self._announced,
            )
            encoded_row = msgspec.msgpack.encode(row)
            if encoded_row != self._row:
                self._row = encoded_row
                changes.append((_PARTITION_ROW, encoded_row))
        return Drained(outputs, changes)

    def _due_memberships(self) -> list[Output]:
        """Memberships of the accounts that had a transition, or their first activity of a day, since the last flush."""
        due = []
        for account_id, account, working in self._engine.take_reportable():
            membership = wire_membership(account_id, account, working)
            due.append(Output(self._topics.membership, account_id.encode(), encode_membership(membership)))
        return due

    def close(self) -> None:
        self._outputs.clear()
