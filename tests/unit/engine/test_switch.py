"""One catalog gives way to another: what happens to memberships, checklists and waits."""

from typing import Any

from streams.engine.program import Program
from tests.unit.engine.building import DAY, GRACE, HOUR, START, Log, program_of


def switched(log: Log, program: Program, at: int = START + HOUR) -> Log:
    log.transitions.clear()
    log.partition.apply_catalog(program, at)
    log.take()
    return log


def told(log: Log) -> list[tuple[str, str, str | None]]:
    assert {one.trigger for one in log.transitions} <= {"catalog"}
    return [(one.segment, one.direction, one.from_segment) for one in log.transitions]


def rich(name: str = "rich", **more: Any) -> dict[str, Any]:
    return {"id": name, "when": "mrr > 3", **more}


def started(*segments: dict[str, Any], **entries: Any) -> Log:
    log = Log(program_of(*segments, **entries))
    log.group({"mrr": 5}, START)
    return log


def test_the_same_catalog_again_changes_nothing() -> None:
    log = started(rich())
    assert told(switched(log, program_of(rich()))) == []
    assert log.account().now == START


def test_memberships_that_still_hold_go_on() -> None:
    log = switched(started(rich()), program_of(rich(), {"id": "more", "when": "True"}))
    assert told(log) == [("more", "entered", None)]
    assert log.account().members == {"rich": START, "more": START + HOUR - GRACE}


def test_a_membership_of_a_segment_that_is_gone_ends() -> None:
    log = switched(started(rich(), rich("old")), program_of(rich()))
    assert told(log) == [("old", "exited", None)]
    assert log.transitions[0].entered_at == START
    assert "no place" in log.transitions[0].evidence["failed"][0]


def test_a_segment_that_is_switched_off_ends_too() -> None:
    log = switched(started(rich()), program_of(rich(enabled=False)))
    assert told(log) == [("rich", "exited", None)]


def test_of_two_members_that_now_share_a_group_the_later_one_ends() -> None:
    old = started(rich("a"), rich("b"), rich("c"))
    log = switched(old, program_of(rich("c", group="g"), rich("b", group="g"), rich("a", group="g")))
    assert told(log)[:2] == [("b", "exited", None), ("c", "exited", None)]
    assert log.members() == {"c"}, "the new catalog's order decides whose turn it is"


def test_a_checklist_step_that_was_reached_before_anyone_asked_is_done_now() -> None:
    log = Log(program_of("activated"))
    for _ in range(3):
        log.track("a", START)
    checklist = [{"event": "a", "count": 3}, {"event": "b"}]
    switched(log, program_of("activated", "activation_rate == 0.5", checklist=checklist))
    assert told(log) == [("s1", "entered", None)]
    assert log.account().steps == {"3:a": START + HOUR - GRACE}
    log.track("b", START + 2 * HOUR)
    assert log.members() == {"s0"}


def test_windows_of_new_rules_reach_back_over_what_was_counted() -> None:
    log = Log(program_of("True"))
    for day in range(5):
        log.track("a", START + day * DAY, {"team": "red"}, user="u")
    rule = 'count("a", days=7) == 5 and active_users(days=7) == 1 and teams(days=7) == 1 and active_days(days=3) == 3'
    assert told(switched(log, program_of("True", rule), START + 4 * DAY)) == [("s1", "entered", None)]


def test_a_dwell_protects_a_member_from_new_rules_too() -> None:
    log = switched(started(rich()), program_of({"id": "rich", "when": "mrr > 100", "min_dwell_days": 2}))
    assert told(log) == []
    log.until(START + 2 * DAY)
    assert log.story() == [("rich", "exited", START + 2 * DAY)]


def test_measures_that_are_no_longer_asked_for_are_forgotten() -> None:
    measures = {name: {"event": "a", "property": "x", "aggregate": "sum"} for name in ("kept", "gone")}
    log = Log(program_of("True", measures=measures))
    log.track("a", START, {"x": 5})
    switched(log, program_of("True", measures={"kept": measures["kept"]}))
    assert list(log.account().measures) == ["kept"]


def test_deadlines_of_the_old_rules_fire_first_and_those_of_the_new_ones_later() -> None:
    log = Log(program_of("since(signed_up_at) >= 1"))
    log.track("a", START)
    log.partition.apply_catalog(program_of("since(signed_up_at) >= 3"), START + 2 * DAY)
    log.take()
    log.until(START + 10 * DAY)
    assert [(one.direction, one.effective_at, one.trigger) for one in log.transitions] == [
        ("entered", START + DAY, "deadline"),
        ("exited", START + 2 * DAY - GRACE, "catalog"),
        ("entered", START + 3 * DAY, "deadline"),
    ]
    assert [one.sequence for one in log.transitions] == [1, 2, 3]
