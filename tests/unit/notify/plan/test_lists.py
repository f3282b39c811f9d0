"""Lists: who is in a segment at certain times, in order, and what changed since."""

from typing import Any

from schemas.action import Arm, Reason
from streams.connectors.message import MessageKind
from streams.notify.plan.delivery import SinceLast
from streams.notify.plan.destination import DestinationPlan
from streams.notify.plan.memory import LIST_MEMORY_MAX
from streams.notify.plan.planner import Planner, RosterMember
from tests.unit.notify.plan.scene import DAY_MS, HOUR_MS, MONDAY_MS, Scene, accounts, ms, plan_of, reasons

MORNING: dict[str, Any] = {
    "on": {"digest": "0 8 * * mon-fri"},
    "list": {"segment": "trial", "sort": "rate", "order": "desc", "top": 3},
}


def members(**rates: Any) -> list[RosterMember]:
    return [
        RosterMember(name, MONDAY_MS - DAY_MS, {"rate": rate}, {"name": name.upper()}) for name, rate in rates.items()
    ]


def morning(*more: dict[str, Any], **destination: Any) -> DestinationPlan:
    return plan_of(MORNING, *more, timezone="Europe/Berlin", **destination)


def test_a_list_has_the_first_members_in_order_and_says_how_many_there_are() -> None:
    scene = Scene(morning(), rosters={"trial": members(a=0.5, b=None, c=0.75, d="much", e=1, f=0.5)})
    scene.until(ms("2026-03-03 07:00"))
    [only] = scene.sent
    assert (accounts(only), only.more, only.kind) == (["e", "c", "a"], 3, MessageKind.LIST)
    assert (only.planned_at_ms, only.scheduled_at_ms) == (ms("2026-03-03 07:00"), ms("2026-03-03 07:00"))
    first = only.items[0]
    assert (first.facts, first.news.fields["evidence"], first.news.fields["dwell_seconds"]) == (
        {"name": "E"}, {"values": {"rate": 1}}, (DAY_MS + 22 * HOUR_MS) / 1_000,
    )  # fmt: skip


def test_a_list_says_who_came_and_went_since_the_last_one_and_the_first_says_nothing_new() -> None:
    scene = Scene(morning(), rosters={"trial": members(a=1, b=2, c=3)}, restarts=True)
    scene.until(ms("2026-03-03 07:00"))
    scene.rosters["trial"] = members(b=2, c=3, d=4)
    scene.until(ms("2026-03-04 07:00"))
    assert [one.since_last for one in scene.sent] == [
        SinceLast((), (), None), SinceLast(("d",), ("a",), ms("2026-03-03 07:00")),
    ]  # fmt: skip


def test_without_sort_the_newest_members_come_first_or_last() -> None:
    for order, expected in (("desc", ["new", "old"]), ("asc", ["old", "new"])):
        play = {"on": {"digest": "0 8 * * *"}, "list": {"segment": "trial", "order": order}}
        roster = [RosterMember("old", 1), RosterMember("new", 2)]
        scene = Scene(plan_of(play), rosters={"trial": roster})
        scene.after(days=1)
        assert accounts(scene.sent[0]) == expected


def test_a_list_has_one_id_per_time_whenever_it_is_made() -> None:
    ids = []
    for late_ms in (0, HOUR_MS):
        scene = Scene(morning(), rosters={"trial": members(a=1)})
        scene.look()
        scene.now_ms = ms("2026-03-03 07:00") + late_ms
        scene.look()
        ids.append(scene.sent[0].delivery_id)
    assert ids[0] == ids[1]


def test_a_list_comes_once_a_day_whatever_the_clock_does_and_however_often_the_worker_starts() -> None:
    for restarts in (False, True):
        scene = Scene(morning(), now_ms=ms("2026-03-26 12:00"), rosters={"trial": members(a=1)}, restarts=restarts)
        scene.until(ms("2026-04-01 12:00"))
        told = [one.planned_at_ms for one in scene.sent]
        assert told == [ms(f"2026-03-{day} 0{hour}:00") for day, hour in ((27, 7), (30, 6), (31, 6))] + [
            ms("2026-04-01 06:00")
        ]


def test_times_that_passed_while_nobody_worked_are_made_up_for_once() -> None:
    scene = Scene(morning(), rosters={"trial": members(a=1)}, restarts=True)
    scene.look()
    scene.now_ms = ms("2026-03-05 15:00")
    scene.until(ms("2026-03-06 08:00"))
    assert [one.planned_at_ms for one in scene.sent] == [ms("2026-03-05 15:00"), ms("2026-03-06 07:00")]


def test_a_list_in_quiet_hours_is_put_off_to_their_end() -> None:
    play = {**MORNING, "on": {"digest": "0 6 * * *"}}
    plan = plan_of(play, quiet_hours={"from": "18:00", "to": "08:00", "weekends": True})
    scene = Scene(plan, now_ms=ms("2026-03-06 12:00"), rosters={"trial": members(a=1)}, restarts=True)
    scene.until(ms("2026-03-10 12:00"))
    # Saturday's, Sunday's and Monday's are one.
    assert [one.planned_at_ms for one in scene.sent] == [ms("2026-03-09 08:00"), ms("2026-03-10 08:00")]


def test_members_are_called_as_their_transitions_called_them() -> None:
    owner = {"trait": "owner", "default": "#sales"}
    scene = Scene(plan_of({**MORNING, "owner": owner}), restarts=True)
    scene.enters("a", "trial", facts={"name": "Acme", "owner": "anna"})
    scene.rosters["trial"] = [RosterMember("a", MONDAY_MS, {"rate": 1}), RosterMember("b", MONDAY_MS, {"rate": 0})]
    scene.until(ms("2026-03-03 08:00"))
    assert [(one.facts.get("name"), one.owner) for one in scene.sent[0].items] == [("Acme", "anna"), (None, "#sales")]
    scene.leaves("a", "trial", facts={"name": "Acme"})
    assert "a/a" not in scene.rows


def test_nobody_in_the_segment_is_no_message() -> None:
    scene = Scene(morning())
    assert reasons(scene.until(ms("2026-03-03 07:00"))) == [Reason.EMPTY_LIST]


def test_a_list_leaves_out_who_is_silenced_or_inhibited() -> None:
    plan = morning({"segment": "churned"}, {"segment": "at_risk"})
    scene = Scene(plan_of({**MORNING, "inhibited_by": ["churned"]}), rosters={"trial": members(a=1, b=2, c=3)})
    scene.silence(account="a", hours=1_000)
    scene.enters("b", "churned")
    scene.until(ms("2026-03-03 08:00"))
    assert accounts(scene.sent[0]) == ["c"]
    scene.silence(play="play-0", hours=1_000)
    assert reasons(scene.until(ms("2026-03-04 08:00"))) == [Reason.SILENCED]
    assert plan.plays[0].mentions == {"trial"}


def test_a_list_is_measured_once_per_entry_in_both_arms() -> None:
    roster = members(**{f"a{n}": n for n in range(30)})
    play = {**MORNING, "list": {"segment": "trial", "sort": "rate", "top": 20}, "holdout_percent": 40}
    scene = Scene(plan_of(play), rosters={"trial": roster}, restarts=True)
    scene.until(ms("2026-03-04 09:00"))
    exposed = [(one.delivery.news.account_id, one.arm) for one in scene.said if one.reason is Reason.EXPOSED]
    assert len(exposed) == len(set(exposed)) == 20
    held = {name for name, arm in exposed if arm is Arm.CONTROL}
    assert 2 < len(held) < 18
    for one in scene.sent:
        assert not held & set(accounts(one))
    assert len(scene.sent) == 2


def test_a_request_is_made_once_until_it_is_answered_or_asked_again() -> None:
    planner = Planner(morning())
    planner.due(MONDAY_MS)
    now_ms = ms("2026-03-03 07:00")
    [request] = planner.wants_roster(now_ms)
    assert planner.wants_roster(now_ms) == []
    assert planner.next_ms() > now_ms
    planner.ask_again(request)
    assert planner.wants_roster(now_ms) == [request]
    assert planner.give_roster(request, members(a=1), now_ms)
    assert planner.give_roster(request, members(a=1), now_ms) == []


def test_another_cron_expression_counts_from_now_and_keeps_what_the_last_list_had() -> None:
    scene = Scene(morning(), rosters={"trial": members(a=1)})
    scene.until(ms("2026-03-03 07:00"))
    scene.rosters["trial"] = members(b=1)
    scene.restart(plan_of({**MORNING, "on": {"digest": "0 12 * * *"}}))
    scene.until(ms("2026-03-03 12:00"))
    assert scene.sent[1].since_last == SinceLast(("b",), ("a",), ms("2026-03-03 07:00"))


def test_what_is_remembered_of_a_list_is_bounded() -> None:
    scene = Scene(morning(), rosters={"trial": members(**{f"a{n}": n for n in range(LIST_MEMORY_MAX + 500)})})
    scene.until(ms("2026-03-03 07:00"))
    assert len(scene.rows["l/play-0"]) < 10 * LIST_MEMORY_MAX
    assert scene.sent[0].more == LIST_MEMORY_MAX + 500 - 3
