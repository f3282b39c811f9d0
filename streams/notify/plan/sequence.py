"""Further messages of a play: when the next one is due, and what ends them.

A sequence begins when its first message is sent. From each message to the next it is as long as the playbook says; one
that comes late, because the worker was away, moves those after it, so that two never come at once. Each is a message
like any other: it waits for quiet hours, joins groups and counts for the budget.
"""

from collections.abc import Iterator

import msgspec

from schemas.transition import Direction
from streams.notify.plan.destination import PlayPlan
from streams.notify.plan.news import News
from streams.notify.plan.route import left, reaches
from streams.notify.plan.waiting import Phase, Waiting


def begin(first: Waiting, plan: PlayPlan, seq: int, now_ms: int) -> Waiting:
    """The second message of a sequence, after the first one was sent."""
    return _step(first, plan, 1, seq, now_ms + plan.occasions[0].after_ms)


def following(row: Waiting, plan: PlayPlan, seq: int, now_ms: int) -> Waiting | None:
    """The message after one that is due; None: it was the last."""
    if row.step >= len(plan.occasions):
        return None
    between_ms = plan.occasions[row.step].after_ms - plan.occasions[row.step - 1].after_ms
    return _step(row, plan, row.step + 1, seq, max(row.due_ms, now_ms) + between_ms)


def steps(first: Waiting, plan: PlayPlan) -> Iterator[Waiting]:
    """Every further message, to know it by."""
    return (_step(first, plan, index + 1, first.seq, one.after_ms) for index, one in enumerate(plan.occasions))


def goes_on(row: Waiting, plan: PlayPlan, segments: dict[str, int]) -> bool:
    """Whether a sequence lasts after a step that is due now: a step `while: true` that fails is its end."""
    if row.step > len(plan.occasions):
        return False
    return plan.occasions[row.step - 1].step.holds is not True or row.match.still_true(segments)


def stopped(row: Waiting, plan: PlayPlan, news: News) -> bool:
    """Whether news of its account ends a sequence, or makes the first message that waits needless."""
    stop_on = plan.play.stop_on
    if stop_on is None:
        return False
    if stop_on.exit and row.direction is not Direction.EXITED and left(news) == row.segment:
        return True
    return reaches(plan.stops, news)


def _step(row: Waiting, plan: PlayPlan, step: int, seq: int, due_ms: int) -> Waiting:
    return msgspec.structs.replace(
        row,
        seq=seq,
        phase=Phase.STEP,
        due_ms=due_ms,
        template=plan.occasions[step - 1].step.template,
        mark=f"step {plan.play.id} {step}",
        step=step,
        scheduled_at_ms=due_ms,
        exposed_ms=0,
        group="",
    )
