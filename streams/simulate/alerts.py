"""How many messages a playbook would make of a course, per destination: routed by the rules that the notifier has."""

from collections.abc import Sequence

from schemas.playbook import Play
from streams.notify.plan.news import News
from streams.notify.plan.route import routes
from streams.simulate.course import Course, Step


def alerts(course: Course, plays: Sequence[Play], since_ms: int) -> dict[str, list[int]]:
    """Per destination of an enabled play, when a message goes out, from `since_ms` on.

    Two plays that tell one thing in the same words to the same destination make one message, as in earnest.
    """
    found: dict[str, list[int]] = {play.destination: [] for play in plays if play.enabled}
    for step in course.steps:
        if step.at_ms >= since_ms:
            for destination, _template in {(play.destination, play.template) for play in routes(_news(step), plays)}:
                found[destination].append(step.at_ms)
    return found


def _news(step: Step) -> News:
    return News(
        "", step.account_id, step.segment, step.direction, step.group, step.from_segment, step.at_ms,
        from_catalog=False, fields={},
    )  # fmt: skip
