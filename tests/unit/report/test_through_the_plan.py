"""From the notifier's plan to the result: what it exposes is what is judged, in the arms that it drew."""

from schemas.action import ActionOutcome, Reason
from schemas.playbook import Playbook
from streams.connectors.console.config import ConsoleConfig
from streams.notify.courier.telling import Told, action_of
from streams.notify.plan.delivery import Source
from streams.notify.plan.destination import destination_plan
from streams.notify.plan.news import read
from streams.notify.plan.planner import Planner
from streams.report.judgement import Question, Verdict
from streams.report.plans import plans_of
from streams.report.results import Span, results
from streams.topics import Topics
from tests.unit.report.logs import day, passed

ACCOUNTS = 1_000
PLAYBOOK = Playbook.model_validate(
    {
        "format": 1,
        "name": "p",
        "holdout_percent": 10,
        "templates": {"t": {"title": "x"}},
        "plays": [
            {"id": "save", "segment": "at_risk", "template": "t", "destination": "team", "holdout_percent": 40,
             "cooldown_days": 7, "goal": {"enters": "champion", "within_days": 14}},
        ],
    }
)  # fmt: skip


def test_arms_are_as_large_as_drawn_and_an_effect_in_one_of_them_is_found() -> None:
    config = ConsoleConfig.model_validate({"id": "team", "type": "console"})
    planner = Planner(destination_plan(PLAYBOOK, config, 24))
    lines: list[bytes] = []
    told: set[str] = set()
    for visit in range(2):  # the second time within the cooldown: nobody is exposed again
        for n in range(ACCOUNTS):
            value, at_ms = passed(f"a{n}", "entered", "at_risk", day(visit)), day(visit)
            for one in planner.take(read(value), Source(0, n, at_ms, None, value), {}, at_ms):
                outcome = one.outcome or ActionOutcome.DELIVERED
                what = Told(outcome, Reason.DELIVERED if one.opens else one.reason, arm=one.arm)
                action = action_of(one.delivery, "console", what, at_ms, Topics()).value
                assert action is not None
                lines.append(action)
                if one.opens:
                    told.add(one.delivery.news.account_id)
    # Half of those that were told reach the goal, and a quarter of the others.
    saved = [n for n in range(ACCOUNTS) if n % (2 if f"a{n}" in told else 4) == 0]
    lines += [passed(f"a{n}", "entered", "champion", day(3)) for n in saved]

    plans, span = list(plans_of(PLAYBOOK)), Span(until_ms=day(60))
    (found,) = results(lambda: lines, lambda: lines, plans, span, Question()).results
    assert found.control_share == 0.1 + 0.9 * 0.4
    assert found.treatment.exposed + found.control.exposed == ACCOUNTS
    assert found.treatment.exposed == len(told)
    assert found.p_split > 0.01
    assert found.verdict is Verdict.BETTER
