"""How many messages a playbook would make of a course, per destination: by the plan that the notifier has."""

from collections.abc import Iterator, Sequence

import msgspec

from schemas.timestamps import format_ms
from streams.notify.plan.destination import DestinationPlan
from streams.simulate.course import Course, Span
from streams.simulate.rehearsal import Sight, Window, messages
from streams.simulate.sights import sight_of


def alerts(course: Course, plans: Sequence[DestinationPlan], span: Span) -> dict[str, list[int]]:
    """Per destination, when a message goes out within the span; with what was told before it taken into account."""
    sent = messages(plans, _sights(course), Window(span.start_ms, span.end_ms))
    return {plan.id: times.at_ms for plan, times in zip(plans, sent, strict=True)}


def _sights(course: Course) -> Iterator[Sight]:
    """A step without its reasons is enough to plan by."""
    for number, step in enumerate(course.steps):
        fields = {
            "transition_id": str(number),
            "account_id": step.account_id,
            "segment": step.segment,
            "direction": step.direction,
            "group": step.group,
            "from_segment": step.from_segment,
            "effective_at": format_ms(step.at_ms),
        }
        yield sight_of(msgspec.json.encode(fields), number)
