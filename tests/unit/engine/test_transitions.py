"""Entering, leaving, waiting and moving; and what a transition tells of it."""

from typing import Any

import pytest

from streams.engine.codec import decode, encode
from streams.engine.rules.linear import NEVER
from streams.engine.transitions import evaluate
from streams.engine.working import Working
from tests.unit.engine.building import DAY, HOUR, MIDNIGHT, START, Log, program_of

BUSY = 'count("*", days=1) >= 2'


def plan(log: Log, name: str | None, at: int) -> None:
    log.group({"plan": name}, at)


def of_plan(name: str, **more: Any) -> dict[str, Any]:
    """A segment that an account is in while its plan has this name."""
    return {"id": name, "when": f'contains(plan, "{name}")', **more}


# --- hysteresis ---


def test_without_an_exit_rule_a_segment_is_left_when_its_rule_fails() -> None:
    log = Log(program_of("mrr >= 10"))
    for hour, mrr in enumerate([5, 10, 9, None, 11]):
        log.group({"mrr": mrr}, START + hour * HOUR)
    assert [(direction, (at - START) // HOUR) for _, direction, at in log.story()] == [
        ("entered", 1), ("exited", 2), ("entered", 4),
    ]  # fmt: skip


def test_with_an_exit_rule_it_is_left_when_that_holds_and_entered_when_it_does_not() -> None:
    log = Log(program_of({"when": "mrr >= 10", "exit_when": "mrr < 5 or seats == 0"}))
    steps: list[tuple[dict[str, Any], set[str]]] = [
        ({"mrr": 9}, set()),
        ({"mrr": 10}, {"s0"}),
        ({"mrr": 5}, {"s0"}),
        ({"mrr": None}, {"s0"}),
        ({"mrr": 4}, set()),
        ({"seats": 0, "mrr": 20}, set()),
        ({"seats": 1}, {"s0"}),
        ({"seats": 0}, set()),
    ]
    for hour, (traits, members) in enumerate(steps):
        log.group(traits, START + hour * HOUR)
        assert log.members() == members, traits


# --- dwell ---


def test_a_due_exit_waits_for_the_end_of_the_dwell() -> None:
    log = Log(program_of({"when": "plan == 'team'", "min_dwell_days": 2}))
    plan(log, "team", START)
    plan(log, None, START + HOUR)
    assert log.account().next_at == START + 2 * DAY
    log.until(START + 2 * DAY)
    assert log.story() == [("s0", "entered", START), ("s0", "exited", START + 2 * DAY)]


def test_an_exit_that_is_not_due_any_more_is_dropped() -> None:
    log = Log(program_of({"when": "plan == 'team'", "min_dwell_days": 2}))
    plan(log, "team", START)
    plan(log, None, START + HOUR)
    plan(log, "team", START + 2 * HOUR)
    log.until(START + 10 * DAY)
    assert log.story() == [("s0", "entered", START)]
    plan(log, None, START + 10 * DAY)
    assert log.members() == set(), "the dwell is long over"


def test_a_dwell_begins_anew_with_every_entry() -> None:
    log = Log(program_of({"when": BUSY, "min_dwell_days": 1.5}))
    for day in (0, 3):
        log.track("a", START + day * DAY)
        log.track("a", START + day * DAY)
    log.until(START + 20 * DAY)
    assert log.story() == [
        ("s0", "entered", START),
        ("s0", "exited", START + 36 * HOUR),
        ("s0", "entered", START + 3 * DAY),
        ("s0", "exited", START + 3 * DAY + 36 * HOUR),
    ]


# --- cooldown ---


def test_a_due_entry_waits_for_the_end_of_the_cooldown_and_is_dropped_if_not_due_then() -> None:
    log = Log(program_of({"when": "plan == 'team'", "cooldown_days": 2}))
    plan(log, "team", START)
    plan(log, None, START + HOUR)
    plan(log, "team", START + 2 * HOUR)
    assert log.account().next_at == START + HOUR + 2 * DAY
    log.until(START + 5 * DAY)
    plan(log, None, START + 5 * DAY)
    plan(log, "team", START + 6 * DAY)
    plan(log, None, START + 6 * DAY + HOUR)
    log.until(START + 20 * DAY)
    assert [(direction, at) for _, direction, at in log.story()] == [
        ("entered", START),
        ("exited", START + HOUR),
        ("entered", START + HOUR + 2 * DAY),
        ("exited", START + 5 * DAY),
    ]


def test_nobody_cools_down_before_having_been_in() -> None:
    log = Log(program_of({"when": "True", "cooldown_days": 30}))
    log.track("a", START)
    assert log.members() == {"s0"}


# --- groups ---


def grouped(*segments: dict[str, Any]) -> Log:
    return Log(program_of(*({"group": "g"} | segment for segment in segments)))


def test_a_groups_member_is_the_first_that_holds() -> None:
    log = grouped(of_plan("a"), of_plan("b"), of_plan("c"))
    found = []
    for hour, name in enumerate(["cb", "ba", "c", "", "a"]):
        plan(log, name, START + hour * HOUR)
        found.append(log.members())
    assert found == [{"b"}, {"a"}, {"c"}, set(), {"a"}]
    told = [(one.direction, one.from_segment, one.segment) for one in log.transitions]
    assert told == [
        ("entered", None, "b"), ("moved", "b", "a"), ("moved", "a", "c"), ("exited", None, "c"), ("entered", None, "a"),
    ]  # fmt: skip
    assert {one.group for one in log.transitions} == {"g"}
    assert [one.entered_at for one in log.transitions] == [None, START, START + HOUR, START + 2 * HOUR, None]


def test_a_present_member_with_an_exit_rule_holds_until_it_says_so() -> None:
    log = grouped(of_plan("a"), of_plan("b", exit_when="mrr < 5"), of_plan("c"))
    log.group({"plan": "b", "mrr": 9}, START)
    plan(log, "c", START + HOUR)
    assert log.members() == {"b"}, "its rule fails, its exit rule does not hold"
    plan(log, "ca", START + 2 * HOUR)
    assert log.members() == {"a"}, "an earlier one goes before it"
    plan(log, "bc", START + 3 * HOUR)
    log.group({"mrr": 4}, START + 4 * HOUR)
    assert log.members() == {"c"}
    log.group({"plan": "b"}, START + 5 * HOUR)
    assert log.members() == set(), "it is not entered while its exit rule holds"


def test_a_group_member_in_its_dwell_is_left_for_none_earlier_ones_included() -> None:
    log = grouped(of_plan("a"), of_plan("b", min_dwell_days=1), of_plan("c"))
    plan(log, "b", START)
    plan(log, "a", START + HOUR)
    assert log.members() == {"b"}
    plan(log, "c", START + 2 * HOUR)
    assert log.members() == {"b"}
    log.until(START + DAY)
    assert [one[:2] for one in log.story()] == [("b", "entered"), ("c", "moved")]
    assert log.transitions[-1].effective_at == START + DAY


def test_a_segment_in_its_cooldown_is_passed_over_until_it_is_over() -> None:
    log = grouped(of_plan("a", cooldown_days=2), of_plan("b"))
    plan(log, "a", START)
    plan(log, "b", START + HOUR)
    plan(log, "ab", START + 2 * HOUR)
    assert log.members() == {"b"}
    assert log.account().next_at == START + HOUR + 2 * DAY
    log.until(START + 5 * DAY)
    assert log.story()[-1] == ("a", "moved", START + HOUR + 2 * DAY)


def test_when_all_that_hold_cool_down_there_is_no_member() -> None:
    log = grouped(of_plan("a", cooldown_days=2), of_plan("b", cooldown_days=1))
    for hour, name in enumerate(["a", "b", "ab"]):
        plan(log, name, START + hour * HOUR)
    assert log.members() == {"b"}, "the present member stays, it need not come in again"
    plan(log, "", START + 3 * HOUR)
    plan(log, "ab", START + 4 * HOUR)
    assert log.members() == set()
    log.until(START + 5 * DAY)
    assert log.story()[-2:] == [
        ("b", "entered", START + 3 * HOUR + DAY), ("a", "moved", START + HOUR + 2 * DAY),
    ]  # fmt: skip


def test_a_move_away_is_an_exit_and_starts_the_cooldown() -> None:
    log = grouped(of_plan("a"), of_plan("b", cooldown_days=1))
    for hour, name in enumerate(["b", "a", "b"]):
        plan(log, name, START + hour * HOUR)
    assert log.members() == set()
    log.until(START + 5 * DAY)
    assert log.story()[-1] == ("b", "entered", START + HOUR + DAY)


# --- one pass ---


def test_one_evaluation_emits_in_catalog_order_whatever_depends_on_what() -> None:
    log = Log(
        program_of(
            {"id": "sees", "when": 'member("second") and not member("third")'},
            {"id": "first", "when": "mrr > 1", "group": "g"},
            {"id": "second", "when": 'member("last")'},
            {"id": "third", "when": "mrr > 5", "group": "g"},
            {"id": "last", "when": "mrr > 0"},
        )
    )
    log.group({"mrr": 9}, START)
    assert [found.segment for found in log.transitions] == ["sees", "first", "second", "last"]
    assert [found.sequence for found in log.transitions] == [1, 2, 3, 4]
    assert len({found.effective_at for found in log.transitions}) == 1


def test_a_group_stands_where_its_first_segment_stands() -> None:
    log = Log(
        program_of(
            {"id": "a", "when": "mrr > 5", "group": "g"},
            {"id": "b", "when": "mrr > 0"},
            {"id": "c", "when": "mrr > 1", "group": "g"},
        )
    )
    log.group({"mrr": 3}, START)
    assert [found.segment for found in log.transitions] == ["c", "b"]


def test_membership_of_another_is_as_of_this_evaluation_waits_included() -> None:
    log = Log(
        program_of(
            {"id": "both", "when": 'member("slow")'},
            {"id": "slow", "when": "plan == 'team'", "min_dwell_days": 1},
        )
    )
    plan(log, "team", START)
    plan(log, None, START + HOUR)
    assert log.members() == {"both", "slow"}
    log.until(START + DAY)
    assert log.story()[2:] == [("both", "exited", START + DAY), ("slow", "exited", START + DAY)]


def test_a_segment_that_is_not_enabled_is_not_there() -> None:
    log = Log(program_of({"id": "off", "when": "True", "enabled": False}, {"id": "on", "when": "True"}))
    log.track("a", START)
    assert log.members() == {"on"}


def test_evaluating_twice_changes_nothing() -> None:
    program = program_of(BUSY, {"when": "since(signed_up_at) < 3", "cooldown_days": 1}, "stage == 'trial'")
    log = Log(program)
    for hour in range(3):
        log.track("a", START + hour * HOUR)
    account = log.account()
    again = decode(encode(account))
    assert evaluate("acme", again, Working(program, again), "deadline") == []
    assert again == account


def test_an_account_that_waits_for_nothing_is_asked_never() -> None:
    log = Log(program_of("mrr > 3"))
    log.group({"mrr": 5}, START)
    assert log.account().next_at == NEVER
    assert log.partition.next_deadline() == NEVER


# --- evidence ---


def test_on_entry_the_evidence_is_what_the_rule_read() -> None:
    log = Log(
        program_of(
            'count("a", days=7) >= 2 and since(signed_up_at) < 4 and plan == "team" and known(converted_at) == False'
            ' and usage_ratio == None and stage == "trial" and since(cancelled_at) > 3'
        )
    )
    log.group({"plan": "team"}, START)
    log.track("a", START + 6 * HOUR)
    log.track("a", START + 12 * HOUR)
    assert log.transitions[0].evidence == {
        "values": {
            "count('a', days=7)": 2,
            "since(signed_up_at)": 0.5,
            "signed_up_at": "2026-03-02T12:00:00.000Z",
            "plan": "team",
            "converted_at": None,
            "usage_ratio": None,
            "stage": "trial",
            "since(cancelled_at)": "never",
            "cancelled_at": None,
        }
    }


def test_on_exit_it_is_what_failed() -> None:
    log = Log(program_of("mrr > 3 and seats > 3 and stage == 'trial'"))
    log.group({"mrr": 5, "seats": 5}, START)
    log.group({"mrr": 1, "seats": 2}, START + HOUR)
    assert log.transitions[-1].evidence == {
        "values": {"mrr": 1, "seats": 2, "stage": "trial"},
        "failed": ["mrr > 3", "seats > 3"],
    }


def test_with_an_exit_rule_it_is_what_held() -> None:
    log = Log(program_of({"when": "mrr > 3", "exit_when": "mrr < 2 or seats == 0"}))
    log.group({"mrr": 5}, START)
    log.group({"mrr": 1}, START + HOUR)
    assert log.transitions[-1].evidence == {"values": {"mrr": 1, "seats": None}, "held": ["mrr < 2"]}


def test_on_a_move_it_is_what_both_rules_read() -> None:
    log = grouped({"id": "a", "when": "mrr > 3"}, {"id": "b", "when": "seats > 3"})
    log.group({"seats": 5}, START)
    log.group({"mrr": 5}, START + HOUR)
    overtaken = log.transitions[-1]
    assert (overtaken.direction, overtaken.evidence) == ("moved", {"values": {"mrr": 5, "seats": 5}})
    log.group({"mrr": 1}, START + 2 * HOUR)
    assert log.transitions[-1].evidence == {"values": {"mrr": 1, "seats": 5}, "failed": ["mrr > 3"]}


def test_membership_in_the_evidence_is_that_of_this_pass() -> None:
    log = Log(program_of({"id": "a", "when": 'member("b")'}, {"id": "b", "when": "mrr > 3"}))
    log.group({"mrr": 5}, START)
    assert log.transitions[0].evidence == {"values": {"member('b')": True}}


def test_numbers_in_the_evidence_are_short() -> None:
    log = Log(program_of("since(signed_up_at) >= 0 and mrr > 0 and seats > 0"))
    log.group({"mrr": 1 / 3, "seats": 2.0, "createdAt": "2026-03-02T11:59:59.999Z"}, START)
    values = log.transitions[0].evidence["values"]
    assert (values["mrr"], values["seats"], values["since(signed_up_at)"]) == (0.33333333, 2, 1e-8)


# --- trigger ---


def test_a_trigger_is_the_record_or_the_deadline() -> None:
    log = Log(program_of("since(signed_up_at) < 1"))
    log.record({"type": "page"}, START, message="p1")
    log.until(START + DAY)
    assert [found.trigger for found in log.transitions] == [("p1", "page"), "deadline"]


def test_a_deadline_that_a_record_lets_fire_is_a_deadline() -> None:
    log = Log(program_of("since(signed_up_at) < 1", 'count("a", days=1) > 0'))
    log.track("a", START)
    log.track("b", MIDNIGHT + DAY)
    assert {found.trigger for found in log.transitions[2:]} == {"deadline"}


@pytest.mark.parametrize("dwell", [0, 0.0000001, 1 / 3, 3_660])
def test_waits_are_whole_milliseconds(dwell: float) -> None:
    log = Log(program_of({"when": "plan == 'team'", "min_dwell_days": dwell}))
    plan(log, "team", START)
    plan(log, None, START)
    log.until(START + 4_000 * DAY)
    assert log.story()[-1] == ("s0", "exited", START + round(dwell * DAY))
