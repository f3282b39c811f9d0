"""The courier's changelog as operators ask for it: open deliveries, destinations as they were told to be, silences.

Read to its end, committed rows only: what is shown was true at the last flush. Of a delivery a summary is kept, so that
a backlog of a million can be listed.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from schemas.inbox import SilenceOrder
from schemas.timestamps import format_ms
from streams.notify.courier.rows import Kind, OperatorRow, UnreadableRowError, decode, decode_delivery, parts_of
from streams.notify.plan.delivery import Delivery
from streams.notify.plan.memory import Memory


class Record(Protocol):
    """A record as the client gives it."""

    def key(self) -> bytes | None: ...
    def value(self) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class Open:
    """An open delivery, in short."""

    delivery_id: str
    destination: str
    play: str
    kind: str
    account: str
    segment: str
    direction: str
    planned_at_ms: int
    attempts: int
    not_before_ms: int
    order: int
    size: int
    """How many things it tells of."""

    def row(self) -> dict[str, object]:
        """For machines; keys are stable."""
        return {
            "delivery_id": self.delivery_id,
            "destination": self.destination,
            "playbook": self.play,
            "kind": self.kind,
            "account_id": self.account,
            "segment": self.segment,
            "direction": self.direction,
            "planned_at": format_ms(self.planned_at_ms),
            "attempts": self.attempts,
            "next_attempt_at": format_ms(self.not_before_ms) if self.not_before_ms else None,
            "items": self.size,
        }


@dataclass(slots=True)
class Ledger:
    """What the changelog says."""

    open: dict[str, Open] = field(default_factory=dict)
    operators: dict[str, OperatorRow] = field(default_factory=dict)
    silences: dict[str, dict[str, SilenceOrder]] = field(default_factory=lambda: defaultdict(dict))
    """By id and destination."""
    notes: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By silence: who, and why."""

    def of(self, destination: str) -> list[Open]:
        return [one for one in self.open.values() if one.destination == destination]


def read(records: Iterable[Record]) -> Ledger:
    """Make a ledger of the changelog's rows, in log order."""
    ledger = Ledger()
    plans: dict[str, Memory] = defaultdict(Memory)
    for record in records:
        key, value = record.key(), record.value()
        if not key:
            continue
        try:
            kind, destination, rest = parts_of(key)
        except UnreadableRowError:
            continue  # a row of the runtime's own
        if kind is Kind.DELIVERY:
            ledger.open.pop(rest, None)
            if value is not None:
                ledger.open[rest] = summary(decode_delivery(destination, rest, value))
        elif kind is Kind.OPERATOR:
            ledger.operators.pop(destination, None)
            if value is not None:
                ledger.operators[destination] = decode(value, OperatorRow)
        elif kind is Kind.PLAN and rest.startswith("x/"):
            _note_silence(plans[destination], rest, value)
    for destination, plan in plans.items():
        for one in plan.silences.values():
            ledger.silences[one.id][destination] = SilenceOrder(
                one.id, one.until_ms, one.account, one.segment, one.play
            )  # fmt: skip
            ledger.notes[one.id] = (one.by, one.comment)
    return ledger


def summary(delivery: Delivery) -> Open:
    news = delivery.news
    return Open(
        delivery.delivery_id, delivery.destination, delivery.play, delivery.kind.value, news.account_id, news.segment,
        news.direction, delivery.planned_at_ms, delivery.attempts, delivery.not_before_ms, delivery.order,
        len(delivery.items) + delivery.more,
    )  # fmt: skip


def _note_silence(plan: Memory, key: str, value: bytes | None) -> None:
    plan.silences.pop(key.partition("/")[2], None)
    if value is not None:
        plan.restore(key, value)
