"""The engagement stage: one partition of the log, from records to transitions, memberships and state.

    account.events.v1 ──▶ engine.Partition ──▶ segments.transitions.v1, segments.membership.v1
      events, controls          │          ──▶ account.events.v1        (control records)
                                │          ──▶ account.events.v1.late   (activity older than the windows)
                                │          ──▶ account.events.v1.dlq    (what cannot be used)
                                └──────────▶ changelog (`rows`): one row per changed account and flush

Theory of operation. This file translates between records and the engine; it decides nothing about segments. A batch is
applied record by record; what it changed is encoded when a flush asks for it, so that an account costs one changelog
row per flush however many events it took. The partition's own row keeps the clock, the thresholds and the catalog in
force with its content: state and rules are restored together, whatever the settings say by then.

What wall-clock time leads to - a clock record, a look at the population, the catalog of a new log - is written into the
log and takes effect when it is read there, never before.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

import msgspec
from pydantic import ValidationError

from schemas.catalog import Catalog
from schemas.control import (
    CONTROL_HEADER,
    CatalogChange,
    Clock,
    Control,
    Erase,
    Sketch,
    Thresholds,
    decode_control,
    encode_control,
)
from schemas.dead_letter import Rejected, RejectReason
from schemas.membership import encode_membership
from schemas.timestamps import format_day, format_ms
from schemas.transition import ANNOUNCE_HEADER, encode_transition, transition_headers
from schemas.wire import decode_event
from streams.engagement import rows
from streams.engagement.clock import ClockMode, ClockReason, PartitionClock
from streams.engagement.population import COORDINATOR, Coordinator, Looks
from streams.engagement.sketches import sketched
from streams.engine.outgoing import wire_membership, wire_transition
from streams.engine.partition import Outcome, Partition
from streams.engine.population import Thresholds as PopulationThresholds
from streams.engine.program import Program, compile_catalog
from streams.engine.record import account_of_key
from streams.engine.rules.errors import CatalogError
from streams.runtime.dead_letters import dead_letter
from streams.runtime.headers import passed_on
from streams.runtime.stage import Drained, InputRecord, Output
from streams.topics import Topics

PENDING_OUTPUTS_MAX: Final = 20_000


@dataclass(frozen=True, slots=True)
class EngagementConfig:
    """What the shell tells a stage. `program` is for a log that has no catalog yet."""

    program: Program
    topics: Topics
    partitions: int
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
        self._looks = Looks()
        self._coordinator = Coordinator(config.partitions)
        self._outputs: list[Output] = []
        self._changes: list[tuple[bytes, bytes | None]] = []
        self._counts: Counter[str] = Counter()
        self._announced = False
        self._row: bytes | None = None
        self._row_due = False  # something that only the partition's row remembers has changed

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
        """Take one changelog row."""
        engine = self._engine
        if key == rows.PARTITION:
            self._row = value
        elif key.startswith(rows.ERASED_ACCOUNT):
            engine.erased_accounts.add(key[len(rows.ERASED_ACCOUNT) :].decode())
        elif key.startswith(rows.ERASED_USER):
            engine.erased_users.add(key[len(rows.ERASED_USER) :].decode())
        elif key.startswith(rows.SKETCH):
            measures = None if value is None else msgspec.msgpack.decode(value, type=dict[str, str])
            self._coordinator.restore(rows.SketchKey.of(key), measures)
        else:
            engine.restore(key[len(rows.ACCOUNT) :].decode(), value)

    def restored(self) -> None:
        if self._row is None:
            return
        row = msgspec.msgpack.decode(self._row, type=rows.PartitionRow)
        engine = self._engine
        engine.floor = row.floor
        engine.thresholds = PopulationThresholds(row.ranked_at, row.percentiles)
        self._clock.newest_arrival = row.newest_arrival
        self._announced = row.announced
        self._looks.day, self._coordinator.decided_day = row.looked_day, row.decided_day
        program = compile_catalog(Catalog.model_validate(row.catalog), "the catalog in force")
        if program.version != engine.program.version:
            engine.program = program

    # Records

    def apply(self, records: Sequence[InputRecord]) -> None:
        for record in records:
            try:
                self._apply(record)
            except Rejected as rejected:
                source = (self._topics.account_events, self._number)
                self._outputs.append(dead_letter(record, rejected, source, self._topics.account_events_dlq))
                self._counts[f"rejected:{rejected.reason}"] += 1
        self._collect()

    def _apply(self, record: InputRecord) -> None:
        value = record.value
        for name, kind in record.headers:
            if name == CONTROL_HEADER:
                self._control(decode_control(kind, value), record.timestamp)
                return
        account_id = account_of_key(record.key)
        if value is None:
            raise Rejected(RejectReason.NULL_VALUE, "the record has no value")
        event = decode_event(value)
        self._clock.saw_arrival(record.timestamp)
        if self._engine.apply(account_id, event, value, record.timestamp) is Outcome.TOO_LATE:
            headers, at = passed_on(record.headers), record.timestamp
            self._outputs.append(Output(self._topics.account_events_late, record.key, value, headers, timestamp_ms=at))

    def _collect(self, headers: Sequence[tuple[str, bytes]] = ()) -> None:
        """Turn what the engine found into outputs."""
        emitted_at = self._clock.wall_ms
        for found in self._engine.take_transitions():
            transition = wire_transition(found, emitted_at)
            value, event_headers = encode_transition(transition), transition_headers(transition)
            key = found.account_id.encode()
            self._outputs.append(Output(self._topics.transitions, key, value, [*event_headers, *headers]))
            self._counts[f"transitions:{found.direction}"] += 1

    # Control records

    def _control(self, control: Control, arrival_ms: int) -> None:
        self._row_due = True
        match control:
            case Clock():
                self._engine.advance_clock(control.at_ms)
                self._counts["controls:clock"] += 1
            case Thresholds():
                at_ms = self.program.calendar.start_of(control.day_number)
                self._engine.apply_thresholds(PopulationThresholds(at_ms, control.percentiles))
                self._counts["controls:thresholds"] += 1
            case CatalogChange():
                self._change_catalog(control, arrival_ms)
                self._counts["controls:catalog"] += 1
            case Erase():
                self._erase(control)
                self._counts["controls:erase"] += 1
            case Sketch():
                self._take_sketch(control, arrival_ms)
                self._counts["controls:sketch"] += 1
            case _:
                assert_never(control)

    def _change_catalog(self, change: CatalogChange, arrival_ms: int) -> None:
        """From here on another catalog. What was found before it stays as it is, what it causes says so."""
        self._announced = True
        if change.version == self.program.version:
            return
        program = self._program_of(change)
        self._collect()
        self._engine.apply_catalog(program, arrival_ms)
        self._collect([(ANNOUNCE_HEADER, b"true")] if change.announce else ())

    def _program_of(self, change: CatalogChange) -> Program:
        if change.version == self._config.program.version:
            return self._config.program
        if change.content is None:
            raise Rejected(RejectReason.BAD_CONTROL, f"catalog {change.version}: the record has no content")
        try:
            program = compile_catalog(Catalog.model_validate(change.content), f"catalog {change.version}")
        except (ValidationError, CatalogError) as error:
            raise Rejected(RejectReason.BAD_CONTROL, f"catalog {change.version}: {error}") from None
        if program.version != change.version:
            raise Rejected(RejectReason.BAD_CONTROL, f"catalog {change.version}: its content is {program.version}")
        return program

    def _erase(self, erase: Erase) -> None:
        if erase.account_id is not None:
            if erase.account_id in self._engine:
                key = erase.account_id.encode()
                self._changes.append((rows.ACCOUNT + key, None))
                self._outputs.append(Output(self._topics.membership, key, None))
            self._engine.erase_account(erase.account_id)
            self._changes.append((rows.ERASED_ACCOUNT + erase.account_id.encode(), b""))
        elif erase.user_id is not None:
            self._engine.erase_user(erase.user_id)
            self._changes.append((rows.ERASED_USER + erase.user_id.encode(), b""))

    def _take_sketch(self, sketch: Sketch, arrival_ms: int) -> None:
        thresholds, changed = self._coordinator.take(sketch)
        for key, measures in changed.items():
            self._changes.append((key.row(), None if measures is None else msgspec.msgpack.encode(measures)))
        if thresholds is not None:
            for partition in range(self._config.partitions):
                self._write_control(thresholds, arrival_ms, partition)

    # Time

    def on_tick(self, now_ms: int, *, caught_up: bool) -> None:
        self._clock.tick(now_ms)
        if not self._announced and caught_up:
            self._announce_catalog(now_ms)
        reason, at = self._clock.time(caught_up=caught_up)
        if reason is ClockReason.DUE:
            self._look_at_population(at)
        engine = self._engine
        reason, at = self._clock.decide(engine.next_deadline(), engine.floor, caught_up=caught_up)
        if reason is ClockReason.DUE:
            self._write_control(Clock(at=format_ms(at)), at, self._number)
            self._clock.wrote(at)

    def _look_at_population(self, now_ms: int) -> None:
        ranked, calendar = self.program.slots.ranked, self.program.calendar
        day = self._looks.due(now_ms, calendar) if ranked else None
        if day is not None:
            self._looks.day = day
            measures = sketched(self._engine.look(calendar.start_of(day)).values(), ranked)
            sketch = Sketch(day=format_day(day), partition=self._number, measures=measures)
            self._write_control(sketch, now_ms, COORDINATOR)

    def _announce_catalog(self, now_ms: int) -> None:
        """The first worker on a log writes which catalog applies; the content goes to the catalogs topic too."""
        self._announced = True
        program = self.program
        content = program.content
        self._outputs.append(
            Output(self._topics.catalogs, program.version.encode(), msgspec.json.encode(content), partition=0)
        )
        self._write_control(CatalogChange(version=program.version, content=content), now_ms, self._number)

    def _write_control(self, control: Control, at: int, partition: int) -> None:
        header, value = encode_control(control)
        self._outputs.append(
            Output(self._topics.account_events, None, value, (header,), partition=partition, timestamp_ms=at)
        )

    # Flush

    def position(self, next_offset: int) -> int:
        return next_offset

    def dirty(self) -> bool:
        return bool(self._outputs or self._changes or self._row_due) or self._engine.has_changes()

    def saturated(self) -> bool:
        return len(self._outputs) > PENDING_OUTPUTS_MAX

    def drain(self) -> Drained:
        memberships = self._due_memberships()
        accounts = self._engine.take_changes()
        changes = [*self._changes, *((rows.ACCOUNT + account_id.encode(), encoded) for account_id, encoded in accounts)]
        outputs = [*self._outputs, *memberships]
        if outputs or changes or self._row_due:
            row = self._partition_row()
            if row != self._row:
                self._row = row
                changes.append((rows.PARTITION, row))
        self._outputs, self._changes, self._row_due = [], [], False
        return Drained(outputs, changes)

    def _partition_row(self) -> bytes:
        engine = self._engine
        return msgspec.msgpack.encode(
            rows.PartitionRow(
                floor=engine.floor,
                newest_arrival=self._clock.newest_arrival,
                catalog=self.program.content,
                announced=self._announced,
                looked_day=self._looks.day,
                decided_day=self._coordinator.decided_day,
                ranked_at=engine.thresholds.at_ms,
                percentiles={name: list(found) for name, found in engine.thresholds.percentiles.items()},
            )
        )

    def _due_memberships(self) -> list[Output]:
        """Memberships of the accounts that had a transition, or their first activity of a day, since the last flush."""
        due = []
        for account_id, account, working in self._engine.take_reportable():
            membership = wire_membership(account_id, account, working)
            due.append(Output(self._topics.membership, account_id.encode(), encode_membership(membership)))
        return due

    def close(self) -> None:
        self._outputs.clear()
