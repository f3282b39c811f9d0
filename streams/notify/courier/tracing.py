"""Spans of what the courier decides and attempts, for messages that tell of traced transitions."""

from typing import Final

from schemas.action import ActionOutcome
from schemas.trace import TraceContext
from streams.notify.deliver.dispatch import Settled
from streams.notify.plan.decision import Decision
from streams.notify.plan.delivery import Delivery
from streams.tracing.follow import at_destination, attempt_at
from streams.tracing.spans import LINKS_MAX, Span, SpanKind, Value, bounded

MS_NS: Final = 1_000_000


def decision_span(decision: Decision, now_ms: int) -> Span | None:
    """What the plan says about a message, at the moment when it says it."""
    delivery = decision.delivery
    work = at_destination(delivery.source, delivery.destination)
    if work is None:
        return None
    return Span(
        f"plan {delivery.destination}",
        SpanKind.INTERNAL,
        work.child("plan", delivery.delivery_id, decision.reason.value, now_ms),
        work,
        now_ms * MS_NS,
        now_ms * MS_NS,
        {**_about(delivery), "pegel.reason": decision.reason.value},
    )


def attempt_span(settled: Settled, connector: str, now_ms: int) -> Span | None:
    """One attempt, and what it came to; a message about several transitions links to the others."""
    delivery, verdict, began_ms = settled.delivery, settled.verdict, settled.began_ms
    work = at_destination(delivery.source, delivery.destination)
    if work is None or began_ms is None:
        return None
    return Span(
        f"deliver {delivery.destination}",
        SpanKind.CLIENT,
        attempt_at(work, delivery.delivery_id, began_ms),
        work,
        began_ms * MS_NS,
        max(now_ms, began_ms) * MS_NS,
        {
            **_about(delivery),
            "pegel.connector": connector,
            "pegel.attempt": verdict.attempts,
            "pegel.outcome": verdict.outcome.value,
            "pegel.reason": verdict.reason.value,
        },
        _others(delivery),
        None if verdict.outcome is ActionOutcome.DELIVERED else verdict.reason.value,
    )


def _about(delivery: Delivery) -> dict[str, Value]:
    return {
        "pegel.delivery_id": delivery.delivery_id,
        "pegel.transition_id": bounded(delivery.news.transition_id),
        "pegel.destination": delivery.destination,
        "pegel.play": delivery.play,
    }


def _others(delivery: Delivery) -> tuple[TraceContext, ...]:
    found = (at_destination(item.source, delivery.destination) for item in delivery.others[:LINKS_MAX])
    return tuple(context for context in found if context is not None)
