"""Spans of messages: a gathered one links to all that it tells of, and what nobody traces has none."""

from dataclasses import replace

from schemas.action import ActionOutcome, Reason
from schemas.trace import TraceContext, carried
from streams.notify.courier.tracing import attempt_span, decision_span
from streams.notify.deliver.dispatch import Settled
from streams.notify.plan.decision import Decision
from streams.notify.plan.delivery import Delivery, Item
from streams.notify.plan.retry import Verdict
from streams.tracing.follow import at_destination
from streams.tracing.spans import LINKS_MAX
from tests.unit.notify.world import NOW_MS, delivery

DELIVERED = Verdict(ActionOutcome.DELIVERED, Reason.DELIVERED, 1)


def traced(number: int) -> Delivery:
    one = delivery("acme", number)
    context = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", f"{number:016x}")
    return replace(one, source=replace(one.source, headers=tuple(carried(context, None))))


def test_a_gathered_message_comes_from_its_first_transition_and_links_to_the_others_of_which_so_many() -> None:
    first, untraced = traced(1), delivery("zeta", 1)
    others = [traced(number) for number in range(2, LINKS_MAX + 20)]
    items = tuple(Item(one.news, one.source) for one in [untraced, *others])
    span = attempt_span(Settled(replace(first, others=items), DELIVERED, NOW_MS), "slack", NOW_MS + 5)
    assert span is not None
    assert span.parent == at_destination(first.source, "team")
    assert list(span.links) == [at_destination(one.source, "team") for one in others[: LINKS_MAX - 1]]
    assert (span.end_ns - span.start_ns, span.failed) == (5_000_000, None)


def test_a_verdict_that_comes_from_no_attempt_and_a_message_that_nobody_traces_have_no_span() -> None:
    assert attempt_span(Settled(traced(1), DELIVERED), "slack", NOW_MS) is None
    assert attempt_span(Settled(delivery(), DELIVERED, NOW_MS), "slack", NOW_MS) is None
    assert decision_span(Decision(delivery(), Reason.PLANNED), NOW_MS) is None


def test_decisions_about_one_message_at_other_times_are_other_spans() -> None:
    waits, goes = Decision(traced(1), Reason.GROUPED, until_ms=1), Decision(traced(1), Reason.PLANNED)
    found = [decision_span(waits, NOW_MS), decision_span(waits, NOW_MS + 1), decision_span(goes, NOW_MS + 1)]
    assert len({one.context for one in found if one is not None}) == 3
