"""Made-up deliveries of every kind, to try templates on before they are needed."""

from collections.abc import Iterator
from typing import Any, Final

from schemas.playbook import ANY, Play
from schemas.timestamps import parse_ms
from schemas.transition import Direction
from streams.connectors.message import MessageKind
from streams.notify.plan.delivery import Delivery, Facts, Item, SinceLast, Source
from streams.notify.plan.news import News
from streams.notify.plan.owner import owner_of

EFFECTIVE_AT: Final = "2026-03-31T12:29:58.000Z"
ENTERED_AT: Final = "2026-03-01T12:34:57.120Z"
EFFECTIVE_AT_MS: Final = parse_ms(EFFECTIVE_AT) or 0
SOURCE: Final = Source(0, 0, EFFECTIVE_AT_MS, None, b"{}")


def samples(play: Play, template: str | None = None) -> Iterator[Delivery]:
    """One delivery for each direction that the play waits for; the evidence is empty, the hardest case."""
    for news in _news(play):
        if play.roster is not None:
            yield delivery(play, news, template, MessageKind.LIST)
        elif play.cron is not None:
            yield delivery(play, news, template, MessageKind.DIGEST)
        else:
            yield delivery(play, news, template)


def delivery(
    play: Play,
    news: News,
    template: str | None = None,
    kind: MessageKind = MessageKind.NOTE,
    facts: Facts | None = None,
) -> Delivery:
    """As it would be planned; a digest or list says the same of two accounts, and that there are more."""
    known = facts or {}
    owner = owner_of(play.owner, known)
    several = kind is not MessageKind.NOTE
    return Delivery(
        delivery_id="0c8fd0c4-0d7e-5c39-8f1c-7a0c1f7f9f35",
        play=play.id,
        destination=play.destination,
        template=template or play.template,
        planned_at_ms=EFFECTIVE_AT_MS,
        news=news,
        source=SOURCE,
        kind=kind,
        facts=known,
        owner=owner,
        others=(Item(news, SOURCE, known, owner),) if several else (),
        more=3 if several else 0,
        scheduled_at_ms=EFFECTIVE_AT_MS if several else None,
        since_last=SinceLast((news.account_id,), ("other.example",), EFFECTIVE_AT_MS) if several else None,
    )


def _news(play: Play) -> Iterator[News]:
    if play.roster is not None:
        yield sample(play.roster.segment, Direction.ENTERED)
        return
    segment = next((name for name in play.segments if name != ANY), "at_risk")
    for direction in play.directions:
        yield sample(segment, Direction(direction), play.group)
    if Direction.MOVED not in play.directions:
        yield sample(segment, Direction.MOVED, play.group or "lifecycle")


def sample(
    segment: str, direction: Direction, group: str | None = None, evidence: dict[str, Any] | None = None
) -> News:
    entered = direction is Direction.ENTERED
    moved = direction is Direction.MOVED
    fields: dict[str, Any] = {
        "transition_id": "0c8fd0c4-0d7e-5c39-8f1c-7a0c1f7f9f35",
        "account_id": "acme.example",
        "segment": segment,
        "direction": direction.value,
        "group": group,
        "from_segment": "mature" if moved else None,
        "effective_at": EFFECTIVE_AT,
        "sequence": 7,
        "catalog_version": "d0c5e9f2a41b",
        "evidence": evidence or {"values": {}},
        "trigger": "deadline",
        "entered_at": None if entered else ENTERED_AT,
        "dwell_seconds": None if entered else 2_591_700.88,
        "forecast": None,
        "emitted_at": EFFECTIVE_AT,
    }
    return News(
        fields["transition_id"], fields["account_id"], segment, direction.value, group, fields["from_segment"],
        EFFECTIVE_AT_MS, from_catalog=False, fields=fields,
    )  # fmt: skip
