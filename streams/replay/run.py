"""Replay: lines in, transitions out, by the same engine that the workers run.

Plain lines are events as producers send them: their account is resolved as intake does, their arrival is
`receivedAt`, else `timestamp`, and they form one partition. Dumped records bring key, arrival, partition and control
records with them, so that the replay of a dump takes the very steps that the workers took. Lines are taken in order,
never sorted; what comes out is in (effective_at, account_id, sequence) order.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from pydantic import ValidationError

from schemas.catalog import Catalog
from schemas.control import CONTROL_HEADER, CatalogChange, Clock, ControlKind, Erase, Thresholds, decode_control
from schemas.dead_letter import Rejected, RejectReason
from schemas.wire import decode_event
from schemas.wire_event import WireEvent
from streams.engine.found import Transition
from streams.engine.partition import LIVE_ACCOUNTS_MAX, Outcome, Partition
from streams.engine.population import Thresholds as PopulationThresholds
from streams.engine.program import Program, compile_catalog
from streams.engine.record import account_of_key, file_arrival
from streams.engine.rules.errors import CatalogError
from streams.engine.rules.linear import NEVER
from streams.replay.envelope import Envelope, decode_envelope
from streams.replay.lines import Line
from streams.replay.peers import Alone, Peers, Takes
from streams.replay.population import DailyPopulation
from streams.runtime.headers import require_readable

ACCOUNT_TOPIC = "account.events.v1"

SEEN_ACCOUNTS_MAX: Final = 100_000

_APPLIED: Final = Outcome.APPLIED

# What a dumped record looks like to the reader of events. It may be longer than any event: it is JSON within JSON.
_NO_EVENT: Final = (RejectReason.UNKNOWN_TYPE, RejectReason.TOO_LARGE)

Resolve = Callable[[WireEvent], str]
"""The account of an event, by the state that earlier events have left; raises `Rejected` if there is none."""


@dataclass
class Summary:
    """What became of the lines."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    rejected: Counter[RejectReason] = field(default_factory=Counter)
    controls: Counter[str] = field(default_factory=Counter)
    after_until: int = 0


class Replay:
    """One run over files. `until` leaves out what arrives later, in ms; None takes all."""

    def __init__(
        self,
        program: Program,
        resolve: Resolve,
        until: int | None = None,
        *,
        follow_catalog: bool = False,
        takes: Takes | None = None,
        peers: Peers | None = None,
    ) -> None:
        """`follow_catalog`: catalog records of a dump say which rules apply, not `program`.

        `takes`: events of other accounts are left out, but for their ids and arrivals; `peers`: those who take them.
        """
        self._summary = Summary()
        self._applied = 0  # not yet in the summary: an enum's hash costs more than all else
        self._program = program
        self._follow_catalog = follow_catalog
        self._takes = takes
        self._peers = peers or Alone()
        self.seen_accounts: set[str] = set()  # at most SEEN_ACCOUNTS_MAX
        self._resolve = resolve
        self._until = until
        self._first_arrival = NEVER
        self._last_arrival = -NEVER
        self._partitions: dict[int, Partition] = {}
        self._population = DailyPopulation(self._peers)
        self._catalogued: set[int] = set()  # partitions of which a catalog record was seen

    @property
    def summary(self) -> Summary:
        """What has become of the lines so far."""
        if self._applied:
            self._summary.outcomes[Outcome.APPLIED] += self._applied
            self._applied = 0
        return self._summary

    @property
    def accounts(self) -> int:
        return sum(len(partition) for partition in self._partitions.values())

    @property
    def arrivals(self) -> tuple[int, int] | None:
        """The earliest and the latest arrival that was included, in ms."""
        return None if self._last_arrival < self._first_arrival else (self._first_arrival, self._last_arrival)

    @property
    def partitions(self) -> list[Partition]:
        return list(self._partitions.values())

    def feed(self, line: Line) -> None:
        """Take one line.

        Raises:
            Rejected: the line cannot be used; it has been counted.
        """
        try:
            self._take(line.raw)
        except Rejected as rejected:
            self._summary.rejected[rejected.reason] += 1
            raise

    def take_transitions(self) -> list[Transition]:
        """Those found since the last call, in no order: for who does not wait for `finish` to have them all."""
        return [one for partition in self._partitions.values() for one in partition.take_transitions()]

    def rest(self, accounts_max: int = LIVE_ACCOUNTS_MAX) -> None:
        """Keep no more accounts decoded than a worker does, if there are more than so many.

        Where rules rank accounts all are looked at every day: then they stay decoded.
        """
        for partition in self._partitions.values():
            if len(partition) > accounts_max and not partition.program.slots.ranked:
                partition.take_changes()

    def finish(self, at_ms: int | None = None) -> list[Transition]:
        """Bring every account to `at_ms` (else `until`, else nowhere); those not yet taken, in their order."""
        found: list[Transition] = []
        horizon = self._until if at_ms is None else at_ms
        for partition in self._partitions.values():
            if horizon is not None:
                self._population.finish(horizon, partition)
                partition.advance_to(horizon)
            found += partition.take_transitions()
        found.sort(key=lambda transition: (transition.effective_at, transition.account_id, transition.sequence))
        return found

    def _take(self, raw: bytes) -> None:
        try:
            event = decode_event(raw)
        except Rejected as rejected:
            envelope = decode_envelope(raw) if rejected.reason in _NO_EVENT else None
            if envelope is None:
                raise
            self._take_dumped(envelope)
            return
        arrival = file_arrival(event)
        if arrival is None:
            raise Rejected(RejectReason.UNREADABLE_ARRIVAL, "neither receivedAt nor timestamp is an RFC 3339 time")
        self._take_event(event, raw, arrival)

    def _take_dumped(self, envelope: Envelope) -> None:
        require_readable(envelope.header_pairs())
        control, payload = envelope.header(CONTROL_HEADER), envelope.payload_bytes()
        if payload is None:
            raise Rejected(RejectReason.NULL_VALUE, "the record has no value")
        if control is not None:
            self._take_control(envelope, control, payload)
            return
        event = decode_event(payload)
        if not envelope.topic.endswith(ACCOUNT_TOPIC):
            self._take_event(event, payload, envelope.ts)
        elif self._is_included(envelope.ts):
            self._apply(envelope.partition, account_of_key(envelope.key_bytes()), event, payload, envelope.ts)

    def _take_event(self, event: WireEvent, raw: bytes, arrival_ms: int) -> None:
        """An event that has not been through intake. All of them are one log: their partitions know no accounts."""
        if self._is_included(arrival_ms):
            self._population.arrived(arrival_ms, self._partition(0))
            self._apply(0, self._resolve(event), event, raw, arrival_ms)

    def _take_control(self, envelope: Envelope, kind: str, payload: bytes) -> None:
        control = decode_control(kind.encode(), payload)
        partition = self._partition(envelope.partition)
        if not self._is_included(control.at_ms if isinstance(control, Clock) else envelope.ts):
            return
        match control:
            case Clock():
                partition.advance_clock(control.at_ms)
            case Thresholds():
                at_ms = partition.program.calendar.start_of(control.day_number)
                partition.apply_thresholds(PopulationThresholds(at_ms, control.percentiles))
            case CatalogChange():
                self._take_catalog(envelope, control)
            case Erase(account_id=str(account_id)):
                partition.erase_account(account_id)
            case Erase(user_id=str(user_id)):
                partition.erase_user(user_id)
            case _:
                pass  # a sketch is for whoever writes the thresholds
        self._summary.controls[ControlKind(kind)] += 1

    def _take_catalog(self, envelope: Envelope, change: CatalogChange) -> None:
        """The first catalog record says what has applied from the start, every later one what applies from there on."""
        number = envelope.partition
        partition = self._partition(number)
        is_first = number not in self._catalogued
        self._catalogued.add(number)
        if not self._follow_catalog or change.version == partition.program.version:
            return
        if change.content is None or (is_first and self._peers.any(bool(len(partition)))):
            detail = f"the log ran under catalog {change.version}: give it with --catalog"
            raise Rejected(RejectReason.UNKNOWN_CONTROL, detail)
        try:
            program = compile_catalog(Catalog.model_validate(change.content), f"catalog {change.version}")
        except (ValidationError, CatalogError) as error:
            raise Rejected(RejectReason.BAD_CONTROL, f"catalog {change.version}: {error}") from None
        partition.apply_catalog(program, envelope.ts)

    def _apply(self, partition: int, account_id: str, event: WireEvent, raw: bytes, arrival_ms: int) -> None:
        if len(self.seen_accounts) < SEEN_ACCOUNTS_MAX:
            self.seen_accounts.add(account_id)
        taken_by = self._partition(partition)  # it is there, whoever takes its accounts
        if self._takes is None or self._takes(account_id):
            outcome = taken_by.apply(account_id, event, raw, arrival_ms)
            if outcome is _APPLIED:
                self._applied += 1
            else:
                self._summary.outcomes[outcome] += 1

    def _is_included(self, arrival_ms: int) -> bool:
        if self._until is None or arrival_ms <= self._until:
            self._first_arrival = min(self._first_arrival, arrival_ms)
            self._last_arrival = max(self._last_arrival, arrival_ms)
            return True
        self._summary.after_until += 1
        return False

    def _partition(self, number: int) -> Partition:
        partition = self._partitions.get(number)
        if partition is None:
            partition = self._partitions[number] = Partition(self._program)
        return partition
