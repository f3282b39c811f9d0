"""Which plays of a playbook can be judged, and what their control was to be."""

from collections.abc import Collection, Iterator

from schemas.playbook import Play, Playbook
from streams.report.goals import Goal
from streams.report.results import Plan


def plans_of(playbook: Playbook, wanted: Collection[str] = ()) -> Iterator[Plan]:
    """Those with a goal, disabled ones too, in the playbook's order; of `wanted` only, if any are."""
    for play in playbook.plays:
        if play.goal is not None and (not wanted or play.id in wanted):
            goal = Goal(playbook.goal_terms(play), play.goal.within_days)
            yield Plan(play.id, goal, control_share(playbook, play))


def control_share(playbook: Playbook, play: Play) -> float:
    """Held out of everything, or else of this play; the two are drawn independently of each other."""
    overall, own = playbook.holdout_percent / 100, play.holdout_percent / 100
    return overall + (1 - overall) * own
