"""Deliveries of messages: of one by itself, or of several in a digest."""

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.playbook import Play
from streams.connectors.message import MessageKind
from streams.notify.plan.delivery import SEPARATOR, Delivery, Item, delivery_id
from streams.notify.plan.destination import PlayPlan
from streams.notify.plan.news import News
from streams.notify.plan.owner import owner_of
from streams.notify.plan.waiting import Waiting


@dataclass(frozen=True, slots=True)
class Message:
    """A message that is being looked at."""

    row: Waiting
    news: News
    plan: PlayPlan

    @property
    def play(self) -> Play:
        return self.plan.play


def name_of(destination: str, row: Waiting) -> str:
    """The delivery id of a message by itself."""
    return delivery_id(destination, row.transition_id, row.template, *filter(None, [row.mark]))


def draft(destination: str, message: Message, now_ms: int) -> Delivery:
    """Of one message by itself."""
    row = message.row
    return Delivery(
        delivery_id=name_of(destination, row),
        play=row.play,
        destination=destination,
        template=row.template,
        planned_at_ms=now_ms,
        news=message.news,
        source=row.source,
        not_before_ms=now_ms,
        facts=row.facts,
        owner=owner_of(message.play.owner, row.facts),
        step=row.step,
        scheduled_at_ms=row.scheduled_at_ms,
    )


def orphan(destination: str, row: Waiting, now_ms: int) -> Delivery:
    """Of a message whose play is no longer in the playbook."""
    return Delivery(
        delivery_id=name_of(destination, row),
        play=row.play,
        destination=destination,
        template=row.template,
        planned_at_ms=now_ms,
        news=row.news(),
        source=row.source,
        facts=row.facts,
    )


def digest(destination: str, messages: Sequence[Message], template: str, now_ms: int) -> Delivery:
    """Of all of them. Its id is a function of what it tells."""
    first = messages[0]
    # What two plays ask for is told once.
    once = {one.row.transition_id: one for one in reversed(messages)}
    items = tuple(
        Item(one.news, one.row.source, one.row.facts, owner_of(one.play.owner, one.row.facts))
        for one in messages
        if once[one.row.transition_id] is one
    )
    told = SEPARATOR.join(f"{one.row.transition_id}{SEPARATOR}{one.row.mark}" for one in messages)
    return Delivery(
        delivery_id=delivery_id(destination, told, template, "digest"),
        play=first.row.play,
        destination=destination,
        template=template,
        planned_at_ms=now_ms,
        news=first.news,
        source=first.row.source,
        not_before_ms=now_ms,
        kind=MessageKind.DIGEST,
        facts=first.row.facts,
        owner=items[0].owner,
        others=items[1:],
        scheduled_at_ms=min(one.row.due_ms for one in messages),
    )
