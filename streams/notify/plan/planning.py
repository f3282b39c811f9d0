"""From a piece of news to deliveries: route, then freshness, for each play."""

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.action import Reason
from schemas.playbook import Play
from streams.notify.plan.delivery import Delivery, Source, delivery_id
from streams.notify.plan.freshness import freshness
from streams.notify.plan.news import News
from streams.notify.plan.route import routes


@dataclass(frozen=True, slots=True)
class Decision:
    """What one play makes of one piece of news; `reason` is PLANNED or why it is not told."""

    delivery: Delivery
    reason: Reason


def decisions(
    news: News, source: Source, plays: Sequence[Play], now_ms: int, max_age_h: float | None
) -> list[Decision]:
    """One decision per delivery; two plays that ask for the same delivery make one. Empty: no play waits for it."""
    found: dict[str, Decision] = {}
    for play in routes(news, plays):
        known = delivery_id(play.destination, news.transition_id, play.template)
        reason = freshness(news, play, now_ms, max_age_h)
        # Of two plays that differ only in what they let through, the more generous one decides.
        if known in found and (found[known].reason is Reason.PLANNED or reason is not Reason.PLANNED):
            continue
        delivery = Delivery(known, play.id, play.destination, play.template, now_ms, news, source, order=len(found))
        found[known] = Decision(delivery, reason)
    return list(found.values())


def retry_of(wanted: str, news: News, source: Source, plays: Sequence[Play], now_ms: int) -> Decision | None:
    """The one delivery that somebody wants tried again, however old the news is; None if no play asks for it now."""
    found = [one for one in decisions(news, source, plays, now_ms, None) if one.delivery.delivery_id == wanted]
    return Decision(found[0].delivery, Reason.PLANNED) if found else None
