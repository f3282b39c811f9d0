"""What the courier writes about a delivery: an action for every decision, dead letters for what cannot be delivered."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from schemas.action import DETAIL_CHARS_MAX, Action, ActionOutcome, Arm, Reason
from schemas.dead_letter import (
    DELIVERY_HEADER,
    DESTINATION_HEADER,
    PLAY_HEADER,
    RETRY_DELIVERY_HEADER,
    Rejected,
)
from schemas.timestamps import format_ms
from schemas.transition import ANNOUNCE_HEADER, FACTS_HEADER
from streams.connectors.message import MessageKind
from streams.notify.plan.delivery import Delivery, Source
from streams.runtime.dead_letters import RefusedAt, dead_letter
from streams.runtime.stage import InputRecord, Output
from streams.topics import Topics

STAGE: Final = "courier"
OWN_HEADERS: Final = frozenset({ANNOUNCE_HEADER, FACTS_HEADER, RETRY_DELIVERY_HEADER, DESTINATION_HEADER, PLAY_HEADER})


@dataclass(frozen=True, slots=True)
class Told:
    """What there is to say of a delivery at one moment, beside what it is."""

    outcome: ActionOutcome
    reason: Reason
    attempt: int = 0
    detail: str = ""
    ref: str | None = None
    arm: Arm | None = None
    until_ms: int | None = None


def action_of(delivery: Delivery, connector: str, told: Told, at_ms: int, topics: Topics) -> Output:
    """One record of `playbook.actions.v1`."""
    news, scheduled_ms = delivery.news, told.until_ms if told.until_ms is not None else delivery.scheduled_at_ms
    action = Action(
        delivery_id=delivery.delivery_id,
        transition_id=news.transition_id,
        account_id=news.account_id,
        segment=news.segment,
        direction=news.direction,
        playbook=delivery.play,
        destination=delivery.destination,
        connector=connector,
        outcome=told.outcome,
        reason=told.reason,
        attempt=told.attempt,
        at=format_ms(at_ms),
        detail=told.detail[:DETAIL_CHARS_MAX],
        ref=told.ref,
        kind=delivery.kind.value,
        items=_items(delivery),
        arm=told.arm,
        scheduled_at=None if scheduled_ms is None else format_ms(scheduled_ms),
    )
    return Output(
        topics.actions,
        news.account_id.encode(),
        msgspec.json.encode(action.model_dump(mode="json")),
        [("content-type", b"application/json")],
    )


def dead_letters_of(delivery: Delivery, rejected: Rejected, topics: Topics) -> Iterator[Output]:
    """The original record of every transition that it tells of; what was no record has none."""
    more = [
        (DELIVERY_HEADER, delivery.delivery_id.encode()),
        (DESTINATION_HEADER, delivery.destination.encode()),
        (PLAY_HEADER, delivery.play.encode()),
    ]
    for item in delivery.items:
        if item.source.value is not None:
            yield dead_letter(item.source, rejected, _refused_at(item.source.partition, topics), more)


def refused(source: Source, rejected: Rejected, topics: Topics, destination: str) -> Output:
    """The dead letter of a transition that could not be planned for at a destination: others may have told of it."""
    more = [(DESTINATION_HEADER, destination.encode())]
    return dead_letter(source, rejected, _refused_at(source.partition, topics), more)


def refused_here(record: InputRecord, partition: int, rejected: Rejected, topics: Topics) -> Output:
    """The dead letter of an inbox record that is neither a routed transition nor a command."""
    return dead_letter(record, rejected, RefusedAt(STAGE, topics.inbox, partition, topics.transitions_dlq))


def _refused_at(partition: int, topics: Topics) -> RefusedAt:
    return RefusedAt(STAGE, topics.transitions, partition, topics.transitions_dlq, OWN_HEADERS)


def _items(delivery: Delivery) -> list[str]:
    match delivery.kind:
        case MessageKind.DIGEST:
            return [item.news.transition_id for item in delivery.items]
        case MessageKind.LIST:
            return [item.news.account_id for item in delivery.items]
        case _:
            return []
