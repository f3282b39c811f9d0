"""A log, replayed: the three steps of the contract's section 1, one account at a time.

Readings of the contract:

* A record whose activity is too late makes no account, and leaves nothing behind where there is none yet.
* A record left out by ``until`` teaches no user -> account either.
* ``until`` is the horizon even where the arrival clock is not there yet; without it nothing fires after the last
  record.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from tests.model.account import Account, Applied
from tests.model.catalog import Catalog
from tests.model.instants import Watch
from tests.model.records import DAY_MS, Record, Rejected, read, resolve
from tests.model.segments import Memberships, Transition, evaluate_segments, units_of
from tests.model.terms import Thresholds, names_of, weight_milli

GRACE_MS = 60_000
SKEW_MS = 300_000
KEPT_DAYS = 92
REMEMBERED_IDS = 512
REMEMBERED_MS = DAY_MS
BILLING = frozenset({"subscription_started", "subscription_cancelled", "plan_changed"})
FACTS = BILLING | {"nps_answered"}
MINUS_INFINITY = float("-inf")


class Replay:
    """A catalog at work on a log; ``noted`` counts what happened to records and evaluations."""

    def __init__(self, catalog: Catalog, thresholds: Thresholds, extra_instants: Iterable[int] = ()) -> None:
        self.catalog = catalog
        self.thresholds = thresholds
        self.units = units_of(catalog)
        self.watch = Watch(catalog, thresholds)
        self.extra_instants = sorted(extra_instants)
        self.noted: Counter[str] = Counter()
        self.transitions: list[Transition] = []


class AccountLog:
    """One account: its two clocks, the ids it remembers, its records and memberships."""

    def __init__(self, account_id: str, replay: Replay) -> None:
        self.account_id = account_id
        self.now: float = MINUS_INFINITY
        self.arrival: float = MINUS_INFINITY
        self._replay = replay
        self._account = Account(replay.catalog)
        self._memberships = Memberships()
        self._taken: list[tuple[str, float]] = []  # identity, S.arrival when it was taken

    def exists(self) -> bool:
        return bool(self._account.applied)

    def take(self, record: Record) -> None:
        noted = self._replay.noted
        if self._is_duplicate(record):
            noted["duplicate"] += 1
            return
        # Step 1
        arrival = max(self.arrival, record.arrival_ms)
        event_ms = int(min(record.event_ms, arrival))
        noted["clock ahead"] += record.event_ms > arrival + SKEW_MS
        # Step 2
        horizon = int(max(event_ms, arrival - GRACE_MS))
        if self.exists():
            self.fire_deadlines(horizon)
        # Step 3
        now = int(max(self.now, horizon))
        applied = self._as_applied(record, event_ms, now)
        noted["too late"] += self._is_too_late(record, event_ms, now)
        if applied is None and not self.exists():
            return
        self.arrival, self.now = arrival, now
        self._taken.append((record.identity, arrival))
        if applied is not None:
            self._account.append(applied)
            noted["applied"] += 1
        self._evaluate({"type": "message", "message_id": record.message_id})

    def fire_deadlines(self, horizon: int) -> None:
        watch, catalog = self._replay.watch, self._replay.catalog
        if horizon <= self.now:
            return
        instants = watch.instants(self._account, self.now, horizon)
        instants = sorted({*instants, *(at for at in self._replay.extra_instants if self.now < at <= horizon)})
        place = 0
        while True:
            while place < len(instants) and instants[place] <= self.now:
                place += 1
            waits = [at for at in self._memberships.waits(catalog.segments) if self.now < at <= horizon]
            due = min([*instants[place : place + 1], *waits], default=None)
            if due is None:
                return
            self.now = due
            self._evaluate({"type": "deadline", "message_id": None})

    def _is_duplicate(self, record: Record) -> bool:
        return any(
            identity == record.identity and self.arrival - taken_at <= REMEMBERED_MS
            for identity, taken_at in self._taken[-REMEMBERED_IDS:]
        )

    def _is_too_late(self, record: Record, event_ms: int, now: int) -> bool:
        """Of activity alone: its day is none of those that are kept."""
        day_of = self._replay.catalog.day_of
        return self._is_activity(record) and day_of(event_ms) <= day_of(now) - KEPT_DAYS

    def _is_activity(self, record: Record) -> bool:
        names = names_of(record, self._replay.catalog)
        return bool(names) and not self._replay.catalog.signals.intersection(names)

    def _as_applied(self, record: Record, event_ms: int, now: int) -> Applied | None:
        catalog = self._replay.catalog
        too_late = self._is_too_late(record, event_ms, now)
        if too_late and record.name not in FACTS:
            return None
        names = [] if too_late else names_of(record, catalog)
        return Applied(
            record=record,
            event_ms=event_ms,
            now_ms=now,
            position=len(self._account.applied),
            names=frozenset(names),
            is_activity=not too_late and self._is_activity(record),
            weight_milli=weight_milli(names, catalog),
        )

    def _evaluate(self, trigger: Mapping[str, Any]) -> None:
        replay = self._replay
        replay.noted["evaluations"] += 1
        for transition in evaluate_segments(
            replay.units, self._account, int(self.now), self._memberships, replay.thresholds, replay.noted
        ):
            replay.transitions.append({"account_id": self.account_id, **transition, "trigger": dict(trigger)})


def replay(
    lines: Iterable[str],
    catalog: Mapping[str, Any],
    until_ms: int | None = None,
    *,
    thresholds: Thresholds | None = None,
    noted: Counter[str] | None = None,
    extra_instants: Iterable[int] = (),
) -> list[Transition]:
    """The transitions of a log, in (effective_at, account_id, sequence) order.

    ``noted``, where given, counts duplicates, too-late and rejected records and more. ``extra_instants`` are evaluated
    in addition to those the model finds: nothing may come of them.
    """
    run = Replay(Catalog(catalog), thresholds or {}, extra_instants)
    logs: dict[str, AccountLog] = {}
    learned: dict[str, str] = {}
    for line in filter(str.strip, lines):
        try:
            record = read(line)
            if until_ms is not None and record.arrival_ms > until_ms:
                run.noted["left out"] += 1
                continue
            account_id = resolve(record, learned)
        except Rejected as refusal:
            run.noted[f"rejected {refusal}"] += 1
            continue
        logs.setdefault(account_id, AccountLog(account_id, run)).take(record)
    for log in logs.values():
        if until_ms is not None and log.exists():
            log.fire_deadlines(until_ms)
    if noted is not None:
        noted.update(run.noted)
    return sorted(run.transitions, key=lambda t: (t["effective_at"], t["account_id"], t["sequence"]))
