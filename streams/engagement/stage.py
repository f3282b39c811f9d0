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

What concerns every account at once - the clock, percentiles, another catalog, a user to be forgotten - is told to the
engine when it is read, and reaches the accounts afterwards, `SLICE_ACCOUNTS` at a time (`work_off`): a million
deadlines that are due at once hold up no event. Its record may be committed long before it has reached everyone, for
the row keeps what is pending. In slices too, accounts that were stored by another version are stored in the one that is
written: an upgrade comes to its end, and so does the way back.

What wall-clock time leads to - a clock record, a look at the population, the catalog of a new log - is written into the
log and takes effect when it is read there, never before.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
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
from schemas.timestamps import format_ms
from schemas.trace import TRACEPARENT
from schemas.transition import Direction
from schemas.wire import decode_event
from streams import log_events
from streams.engagement import rows
from streams.engagement.clock import ClockMode, ClockReason, PartitionClock
from streams.engagement.events import take_events
from streams.engagement.grouping import grouped
from streams.engagement.levels import levels
from streams.engagement.population import COORDINATOR, Coordinator, Look, Looks
from streams.engagement.records import Records, account_rows
from streams.engagement.standing import PROGRAMS_MAX, operations_of, row_of, stored_percentiles, stored_program
from streams.engine import codec
from streams.engine.operations import Basis
from streams.engine.partition import Outcome, Partition, Standing
from streams.engine.population import Thresholds as PopulationThresholds
from streams.engine.program import Program, compile_catalog
from streams.engine.record import account_of_key
from streams.engine.rules.errors import CatalogError
from streams.runtime.dead_letters import RefusedAt, dead_letter
from streams.runtime.headers import passed_on, require_readable
from streams.runtime.rejects import UNLIMITED, RejectLimits, RejectWindow
from streams.runtime.stage import Drained, InputRecord, Output, StateUnreadable
from streams.topics import Topics
from streams.tracing.follow import led_to

STAGE: Final = "engagement"
PENDING_OUTPUTS_MAX: Final = 6_000
"""What a flush may gather. Under load it is memory: twice as many took 1.8 KB more for each of 10,000 busy accounts."""
SLICE_ACCOUNTS: Final = 20
"""Accounts between two looks at the time: a few milliseconds."""
SLICED_RECORDS_MAX: Final = 4_000
"""Outputs and rows that wait for a flush before slices wait too: a flush must not grow long, nor hold up events."""


@dataclass(frozen=True, slots=True)
class EngagementConfig:
    """What the shell tells a stage. `program` is for a log that has no catalog yet."""

    program: Program
    topics: Topics
    partitions: int
    clock: ClockMode
    clock_hold_ms: int
    rejects: RejectLimits = UNLIMITED
    state_version: int = codec.VERSION


class EngagementStage:
    """One partition of the log. Pure: what it is told is all that it knows."""

    def __init__(self, number: int, config: EngagementConfig) -> None:
        self._number = number
        self._config = config
        self._topics = config.topics
        log, letters = config.topics.account_events, config.topics.account_events_dlq
        self._refused_at = RefusedAt(STAGE, log, number, letters, frozenset({CONTROL_HEADER}))
        self._rejects = RejectWindow(config.rejects)
        self._engine = Partition(config.program, config.state_version)
        self._clock = PartitionClock(config.clock, config.clock_hold_ms)
        self._looks = Looks()
        self._look: Look | None = None
        self._coordinator = Coordinator(config.partitions)
        self._outputs: list[Output] = []
        self._changes: list[tuple[bytes, bytes | None]] = []
        self._counts: Counter[str] = Counter()
        self._records = Records(config.topics)
        self._caught_up = False
        self._announced = False
        self._unreadable: dict[bytes, str] = {}  # rows that no later one took the place of, and why
        self._row: bytes | None = None
        self._row_due = False  # something that only the partition's row remembers has changed

    @property
    def counts(self) -> Mapping[str, int]:
        return {
            **_none_yet(self.program.ids),
            **self._counts,
            **self._records.counts,
            **{noted.value: count for noted, count in self._engine.counts.items()},
        }

    @property
    def gauges(self) -> Mapping[str, float]:
        return dict(levels(self._engine, self._clock, self._records.members.counts(), caught_up=self._caught_up))

    @property
    def program(self) -> Program:
        """The rules in force."""
        return self._engine.program

    # State

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take one changelog row. What cannot be read is no matter if a later row takes its place."""
        engine = self._engine
        if self._unreadable:
            self._unreadable.pop(key, None)
        if key.startswith(rows.ACCOUNT):
            try:
                engine.restore(key[len(rows.ACCOUNT) :].decode(), value)
            except codec.StateError as error:
                self._unreadable[key] = str(error)
        elif key == rows.PARTITION:
            self._row = value
        elif key == rows.REJECTS:
            self._rejects.restore(value)
        elif key.startswith(rows.ERASED_ACCOUNT):
            engine.erased_accounts.add(key[len(rows.ERASED_ACCOUNT) :].decode())
        elif key.startswith(rows.ERASED_USER):
            engine.erased_users.add(key[len(rows.ERASED_USER) :].decode())
        elif key.startswith(rows.SKETCH):
            measures = None if value is None else msgspec.msgpack.decode(value, type=dict[str, str])
            self._coordinator.restore(rows.SketchKey.of(key), measures)
        elif value is not None:
            self._unreadable[key] = "a row of a kind that this version does not know"

    def restored(self) -> None:
        """Begin with what was restored.

        Raises:
            StateUnreadable: another version wrote it, or it is damaged.
        """
        if self._unreadable:
            count, first = len(self._unreadable), next(iter(self._unreadable.values()))
            raise StateUnreadable(f"partition {self._number}: {count} rows of its state cannot be read: {first}")
        if self._row is None:
            return
        try:
            row = msgspec.msgpack.decode(self._row, type=rows.PartitionRow)
            program = stored_program(bytes(row.catalog))
        except (msgspec.DecodeError, ValidationError, CatalogError) as error:
            raise StateUnreadable(
                f"partition {self._number}: its catalog, or what else it remembers, cannot be used by this version"
            ) from error
        engine = self._engine
        self._clock.newest_arrival = row.newest_arrival
        self._announced = row.announced
        self._looks.day, self._coordinator.decided_day = row.looked_day, row.decided_day
        if program.version == engine.program.version:
            program = engine.program
        basis = Basis(program, PopulationThresholds(row.ranked_at, row.percentiles))
        self._records.members.restore(engine.count_members() if row.members is None else row.members)
        engine.resume(Standing(row.floor, basis, row.number, operations_of(row.pending, basis)))

    # Records

    def apply(self, records: Sequence[InputRecord]) -> None:
        batch = grouped(records)
        noted = place = 0
        while (place := self._take_events(batch, place)) < len(batch):
            record = batch[place]
            try:
                self._apply(record)
            except Rejected as rejected:
                self._rejects.accept(place - noted)
                noted = place + 1
                self._rejects.reject(rejected.reason)
                self._outputs.append(dead_letter(record, rejected, self._refused_at))
                self._counts[f"rejected:{rejected.reason}"] += 1
            place += 1
        self._rejects.accept(len(batch) - noted)
        self._collect()

    def _take_events(self, batch: Sequence[InputRecord], first: int) -> int:
        late: list[InputRecord] = []
        place = take_events(batch, first, self._engine, self._clock, late)
        for record in late:
            self._too_late(record)
        return place

    def _apply(self, record: InputRecord) -> None:
        """Apply a record of any kind."""
        value, headers, arrival_ms = record.value, record.headers, record.timestamp
        carries = False
        if headers:
            require_readable(headers)
            for name, kind in headers:
                if name == CONTROL_HEADER:
                    self._control(decode_control(kind, value), arrival_ms)
                    return
                if name == TRACEPARENT:
                    carries = True
        account_id = account_of_key(record.key)
        if value is None:
            raise Rejected(RejectReason.NULL_VALUE, "the record has no value")
        event = decode_event(value)
        traced = led_to(headers, STAGE, self._number, record.offset) if carries else None
        if traced:
            self._collect()  # what was found by now was not found by this record
        self._clock.saw_arrival(arrival_ms)
        if self._engine.apply(account_id, event, value, arrival_ms) is Outcome.TOO_LATE:
            self._too_late(record)
        if traced:
            self._collect(traced)

    def _too_late(self, record: InputRecord) -> None:
        topic, kept = self._topics.account_events_late, passed_on(record.headers)
        self._outputs.append(Output(topic, record.key, record.value, kept, timestamp_ms=record.timestamp))

    def _collect(self, traced: Sequence[tuple[str, bytes]] = ()) -> None:
        """Turn what the engine found into outputs; `traced`: the headers of what a record led to."""
        transitions = self._engine.take_transitions()
        if transitions:
            self._outputs += self._records.of_transitions(transitions, self._clock.wall_ms, traced)

    # Control records

    def _control(self, control: Control, arrival_ms: int) -> None:
        self._row_due = True
        match control:
            case Clock():
                self._engine.tell_clock(control.at_ms)
                self._counts["controls:clock"] += 1
            case Thresholds():
                at_ms = self.program.calendar.start_of(control.day_number)
                self._engine.tell_thresholds(PopulationThresholds(at_ms, control.percentiles))
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
        """From here on another catalog."""
        self._announced = True
        if change.version == self.program.version:
            return
        self._engine.tell_catalog(self._program_of(change), arrival_ms, announce=change.announce)
        log_events.CATALOG_APPLIES.tell(partition=self._number, catalog=change.version)

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
        log_events.ERASED.tell(partition=self._number, kind="account" if erase.account_id is not None else "user")
        if erase.account_id is not None:
            if erase.account_id in self._engine:
                key = erase.account_id.encode()
                self._changes.append((rows.ACCOUNT + key, None))
                self._outputs.append(Output(self._topics.membership, key, None))
            self._records.members.forget(self._engine.erase_account(erase.account_id))
            self._changes.append((rows.ERASED_ACCOUNT + erase.account_id.encode(), b""))
        elif erase.user_id is not None:
            self._engine.tell_erased_user(erase.user_id)
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
        self._caught_up = caught_up
        if not self._announced and caught_up:
            self._announce_catalog(now_ms)
        reason, at = self._clock.time(caught_up=caught_up)
        if reason is ClockReason.DUE:
            self._look_at_population(at)
        engine = self._engine
        behind = engine.is_behind()
        reason, at = self._clock.decide(engine.next_deadline(), engine.floor, caught_up=caught_up, behind=behind)
        if reason is ClockReason.DUE:
            self._write_control(Clock(at=format_ms(at)), at, self._number)
            self._clock.wrote(at)

    def _look_at_population(self, now_ms: int) -> None:
        program = self.program
        day = self._looks.due(now_ms, program.calendar) if program.slots.ranked and self._look is None else None
        if day is not None:
            self._look = Look(day, now_ms, self._engine)

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

    # What concerns every account

    def has_backlog(self) -> bool:
        return self._engine.is_behind() or self._look is not None or self._engine.is_outdated()

    def work_off(self) -> bool:
        """Do a slice of what concerns every account; False if there is none, or what it made has yet to be flushed."""
        if len(self._outputs) + len(self._changes) > SLICED_RECORDS_MAX:
            return False
        if self._engine.is_behind():
            self._bring_through()
            return True
        if self._look is not None:
            self._go_on_looking(self._look)
            return True
        if self._engine.is_outdated():
            self._changes += account_rows(self._engine.renew(SLICE_ACCOUNTS))
            return True
        return False

    def _bring_through(self) -> None:
        """Of what a slice changes, rows and outputs are made at once: no flush has thousands of accounts to encode."""
        engine = self._engine
        changed = engine.work(SLICE_ACCOUNTS)
        self._collect()
        self._outputs += self._due_memberships(changed)
        self._changes += account_rows(engine.take_changes(changed))
        self._row_due |= not engine.is_behind()

    def _go_on_looking(self, look: Look) -> None:
        if not look.go_on(self._engine, SLICE_ACCOUNTS):
            return
        self._look = None
        if self.program.slots.ranked:
            self._looks.day = look.day
            self._write_control(look.sketch(self._number), look.now_ms, COORDINATOR)

    # Flush

    def position(self, next_offset: int) -> int:
        return next_offset

    def dirty(self) -> bool:
        return (
            bool(self._outputs or self._changes or self._row_due or self._rejects.moved) or self._engine.has_changes()
        )

    def pressing(self) -> bool:
        """Transitions and control records, and what slices wait for; not the memberships and rows of a flush."""
        return bool(self._outputs) or len(self._changes) > SLICED_RECORDS_MAX

    def saturated(self) -> bool:
        return len(self._outputs) > PENDING_OUTPUTS_MAX

    def drain(self) -> Drained:
        memberships = self._due_memberships()
        changes = [*self._changes, *account_rows(self._engine.take_changes())]
        changes += self._rejects.changes(rows.REJECTS)
        outputs = [*self._outputs, *memberships]
        if outputs or changes or self._row_due:
            row = self._partition_row()
            if row != self._row:
                self._row = row
                changes.append((rows.PARTITION, row))
        self._outputs, self._changes, self._row_due = [], [], False
        return Drained(outputs, changes, self._records.take_fresh())

    def _partition_row(self) -> bytes:
        standing = self._engine.standing()
        thresholds = standing.basis.thresholds
        return msgspec.msgpack.encode(
            rows.PartitionRow(
                floor=standing.floor,
                newest_arrival=self._clock.newest_arrival,
                catalog=msgspec.Raw(standing.basis.program.packed),
                announced=self._announced,
                looked_day=self._looks.day,
                decided_day=self._coordinator.decided_day,
                ranked_at=thresholds.at_ms,
                percentiles=stored_percentiles(thresholds),
                number=standing.number,
                pending=[row_of(number, operation) for number, operation in standing.pending],
                members=self._records.members.counts(),
            )
        )

    def _due_memberships(self, accounts: Sequence[str] | None = None) -> list[Output]:
        """Memberships of the accounts that had a transition, or their first activity of a day, since the last time."""
        return self._records.of_memberships(self._engine.take_reportable(accounts))

    def close(self) -> None:
        self._outputs.clear()


@lru_cache(maxsize=PROGRAMS_MAX)
def _none_yet(segments: tuple[str, ...]) -> Mapping[str, int]:
    """A rate can be taken before the first transition if there was a 0."""
    return {f"transitions:{segment}:{way}": 0 for segment in segments for way in Direction}
