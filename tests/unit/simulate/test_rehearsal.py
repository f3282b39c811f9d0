"""A playbook in simulated time: the notifier's own plan says what goes out, when, and what does not."""

import json
from typing import Any

import pytest

from schemas.action import Reason
from schemas.playbook import Playbook
from schemas.timestamps import format_ms
from streams.connectors.console.config import ConsoleConfig
from streams.notify.plan.destination import DestinationPlan, destination_plan
from streams.simulate.course import DAY_MS
from streams.simulate.rehearsal import Figures, Rehearsal, Sight, Window, bare, rehearse
from streams.simulate.rehearsal_table import rehearsal_rows, rehearsal_table
from streams.simulate.sights import in_order, is_transition, sight_of

HOUR_MS = 3_600_000
MINUTE_MS = 60_000
MONDAY_MS = 1_772_409_600_000
"""2026-03-02, midnight UTC."""
WINDOW = Window(MONDAY_MS, MONDAY_MS + 30 * DAY_MS)
PLAY = {"id": "save", "segment": "at_risk", "template": "t", "destination": "team"}


def plan(*plays: dict[str, Any], **destination: Any) -> DestinationPlan:
    playbook = Playbook.model_validate(
        {"format": 1, "name": "p", "plays": plays or (PLAY,), "templates": {"t": {"title": "x"}}}
    )
    config = ConsoleConfig.model_validate({"id": "team", "type": "console", **destination})
    return destination_plan(playbook, config, 24)


def sight(account: str, at_ms: int, segment: str = "at_risk", direction: str = "entered", **more: Any) -> Sight:
    sequence = at_ms // 1_000
    fields = {
        "transition_id": f"{account}-{sequence}-{segment}",
        "account_id": account,
        "segment": segment,
        "direction": direction,
        "group": None,
        "from_segment": None,
        "effective_at": format_ms(at_ms),
        "sequence": sequence,
        "trigger": "deadline",
    }
    return sight_of(json.dumps(fields | more).encode(), sequence)


def flood(count: int, at_ms: int = MONDAY_MS) -> list[Sight]:
    return [sight(f"a{n:03}", at_ms + n * 1_000) for n in range(count)]


def figures(found: Rehearsal) -> Figures:
    (one,) = found.destinations
    return one


def test_a_plain_play_sends_a_message_for_each_transition_it_waits_for() -> None:
    sights = [*flood(3), sight("b", MONDAY_MS + 10_000, "other"), sight("a000", MONDAY_MS + 20_000, direction="exited")]
    found = rehearse([plan()], sights, WINDOW)
    assert found.transitions == 5
    assert (figures(found).before.messages, figures(found).after.messages) == (3, 3)
    assert figures(found).by_play == {"save": 3}


def test_grouping_makes_few_messages_of_many_and_loses_none() -> None:
    one = figures(rehearse([plan(group={"wait_s": 30, "interval_s": 300, "max": 100})], flood(60), WINDOW))
    assert one.before.messages == 60
    assert 1 <= one.after.messages <= 3
    assert one.told == 60


def test_quiet_hours_move_messages_to_their_end() -> None:
    quiet = {"from": "18:00", "to": "08:00"}
    one = figures(rehearse([plan(quiet_hours=quiet)], flood(5), WINDOW))
    assert one.before.busiest_hour() == ("2026-03-02 00:00", 5)
    assert one.after.by_hour == {"2026-03-02 08:00": 5}
    assert one.deferred[Reason.QUIET_HOURS] == 5


def test_hours_and_days_are_those_of_the_destination() -> None:
    late = [sight("a", MONDAY_MS + 23 * HOUR_MS)]
    one = figures(rehearse([plan(timezone="Asia/Tokyo")], late, WINDOW))
    assert one.after.by_hour == {"2026-03-03 08:00": 1}
    assert str(one.after.zone) == "Asia/Tokyo"


def test_a_budget_is_never_broken_and_the_rest_is_told_in_a_summary() -> None:
    one = figures(rehearse([plan(budget_per_day=10)], flood(60), WINDOW))
    assert max(one.after.by_day.values()) <= 10
    assert one.told == 60


def test_a_cooldown_is_a_reason_and_only_in_what_the_playbook_says() -> None:
    twice = [sight("a", MONDAY_MS), sight("a", MONDAY_MS + DAY_MS)]
    one = figures(rehearse([plan(PLAY | {"cooldown_days": 7})], twice, WINDOW))
    assert (one.before.messages, one.after.messages) == (2, 1)
    assert one.suppressed == {Reason.COOLDOWN: 1}


def test_steps_come_at_their_times_while_they_hold() -> None:
    steps = [{"after_days": 3, "template": "t"}, {"after_days": 7, "template": "t"}]
    sights = [sight("a", MONDAY_MS), sight("b", MONDAY_MS), sight("b", MONDAY_MS + 5 * DAY_MS, direction="exited")]
    one = figures(rehearse([plan(PLAY | {"steps": steps})], sights, WINDOW))
    assert one.after.by_day == {"2026-03-02": 2, "2026-03-05": 2, "2026-03-09": 1}
    assert one.suppressed == {Reason.NO_LONGER_TRUE: 1}


def test_a_list_names_who_is_in_the_segment_at_its_time() -> None:
    play = {
        "id": "list", "on": {"digest": "0 8 * * mon-fri"}, "list": {"segment": "expiring"}, "template": "t",
        "destination": "team",
    }  # fmt: skip
    sights = [
        sight("a", MONDAY_MS, "expiring"),
        sight("b", MONDAY_MS + DAY_MS, "expiring"),
        sight("a", MONDAY_MS + 2 * DAY_MS, "expiring", "exited"),
        sight("b", MONDAY_MS + 3 * DAY_MS, "expiring", "exited"),
    ]
    one = figures(rehearse([plan(play)], sights, WINDOW))
    assert one.after.by_hour == {f"2026-03-0{day} 08:00": 1 for day in (2, 3, 4)}
    assert one.by_kind == {"list": 3}
    assert one.told == 1 + 2 + 1


def test_what_lies_before_the_window_has_consequences_and_is_not_reported() -> None:
    window = Window(MONDAY_MS + DAY_MS, MONDAY_MS + 2 * DAY_MS)
    sights = [sight("a", MONDAY_MS), sight("a", MONDAY_MS + DAY_MS), sight("a", MONDAY_MS + 3 * DAY_MS)]
    found = rehearse([plan(PLAY | {"cooldown_days": 7})], sights, window)
    assert found.transitions == 1
    assert figures(found).suppressed == {Reason.COOLDOWN: 1}
    assert figures(found).after.messages == 0
    assert found.days == 1


def test_a_bare_plan_holds_nothing_back() -> None:
    play = PLAY | {"cooldown_days": 7, "reentry": "once", "inhibited_by": ["churned"]}
    gathering = {
        "id": "weekly",
        "on": {"digest": "0 8 * * mon"},
        "segment": "s",
        "template": "t",
        "destination": "team",
    }
    found = bare(plan(play, gathering, budget_per_day=1, quiet_hours={"from": "18:00", "to": "08:00"}, group={}))
    assert (found.budget_per_day, found.quiet_hours, found.group) == (None, None, None)
    for one in found.plays:
        assert (one.play.cooldown_days, one.play.reentry, one.play.inhibited_by, one.play.cron) == (
            None,
            None,
            (),
            None,
        )


def test_transitions_are_told_from_events_and_brought_into_the_order_of_time() -> None:
    late, early = sight("a", MONDAY_MS + HOUR_MS), sight("b", MONDAY_MS)
    assert in_order([late, early]) == [early, late]
    assert early.source.value is not None
    assert is_transition(early.source.value)
    assert not is_transition(b'{"type": "track", "event": "x", "timestamp": "2026-03-01T00:00:00Z"}')
    assert not is_transition(b"\xff[")


def test_table_and_rows_say_the_same() -> None:
    found = rehearse([plan(group={"wait_s": 30, "interval_s": 300})], flood(25), WINDOW)
    shown, rows = rehearsal_table(found), list(rehearsal_rows(found))
    (destination,) = (row for row in rows if row["kind"] == "destination")
    assert destination["before"]["messages"] == 25
    assert destination["after"]["busiest_day"] == {"day": "2026-03-02", "messages": destination["after"]["messages"]}
    assert "destination team, days and hours of UTC" in shown
    assert f"they tell of {destination['told']} things" in shown
    days = [row for row in rows if row["kind"] == "day"]
    assert sum(row["after"] for row in days) == destination["after"]["messages"]


@pytest.mark.parametrize("until_ms", [MONDAY_MS, MONDAY_MS + 40 * MINUTE_MS])
def test_nothing_is_sent_after_the_window(until_ms: int) -> None:
    window = Window(MONDAY_MS - DAY_MS, until_ms)
    one = figures(rehearse([plan(quiet_hours={"from": "18:00", "to": "08:00"})], flood(5), window))
    assert one.after.messages == 0
