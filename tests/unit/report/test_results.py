"""Results from logs: who counts, in which arm, and what is said of it."""

from collections.abc import Sequence
from itertools import permutations
from random import Random
from typing import Any

import pytest

from schemas.action import Arm
from schemas.transition import Direction
from streams.report.exposures import Exposure, Exposures
from streams.report.goals import ArmCount, Goal
from streams.report.judgement import Question, Result, Verdict, judged
from streams.report.records import UnreadableRecordError, read, value_of
from streams.report.results import Plan, Report, Span, results
from streams.report.text import rows, text
from streams.report.words import explanation, headline, remarks
from tests.unit.report.logs import day, delivered, dumped, experiment, exposed, passed

GOAL = Goal(((Direction.ENTERED, "customer"),), 14)
PLAN = Plan("save", GOAL, 0.5)


def report(lines: Sequence[bytes], *plans: Plan, **span: int) -> Report:
    def read_all() -> Sequence[bytes]:
        return lines

    return results(read_all, read_all, plans or (PLAN,), Span(**span), Question())


def result(lines: Sequence[bytes], plan: Plan = PLAN, **span: int) -> Result:
    return report(lines, plan, **{"until_ms": day(60), **span}).results[0]


def counts(of: Result) -> tuple[tuple[int, int], tuple[int, int]]:
    return (of.treatment.exposed, of.treatment.reached), (of.control.exposed, of.control.reached)


# --- who counts ---


def test_exposed_accounts_count_by_arm_and_those_that_reach_the_goal_in_time_are_found() -> None:
    assert counts(result(experiment({"treatment": (30, 12), "control": (20, 4)}))) == ((30, 12), (20, 4))


def test_a_goal_counts_from_just_after_the_exposure_to_the_end_of_its_window() -> None:
    times = {"at": day(0), "after": day(0) + 1, "last": day(14), "late": day(14) + 1}
    lines = [exposed(account, "treatment", day(0)) for account in times]
    lines += [passed(account, "entered", "customer", at_ms) for account, at_ms in times.items()]
    assert counts(result(lines))[0] == (4, 2)


def test_a_move_is_an_entry_and_an_exit() -> None:
    lines = [
        exposed("a", "treatment", day(0)), exposed("b", "treatment", day(0)), exposed("c", "treatment", day(0)),
        passed("a", "moved", "established", day(1), "at_risk"),
        passed("b", "exited", "at_risk", day(1)),
        passed("c", "entered", "at_risk", day(1)),
    ]  # fmt: skip
    assert counts(result(lines, Plan("save", Goal(((Direction.EXITED, "at_risk"),), 14), 0.5)))[0] == (3, 2)
    assert counts(result(lines, Plan("save", Goal(((Direction.ENTERED, "established"),), 14), 0.5)))[0] == (3, 1)


def test_the_first_exposure_decides_arm_and_time_whatever_comes_later_and_in_which_order() -> None:
    lines = [
        exposed("a", "control", day(0)),
        exposed("a", "treatment", day(5)),
        exposed("a", "treatment", day(20)),
        passed("a", "entered", "customer", day(16)),
    ]
    for order in permutations(lines):
        found = result(list(order))
        assert counts(found) == ((0, 0), (1, 0))
        assert found.both_arms == 1


def test_records_that_come_twice_change_nothing() -> None:
    lines = list(experiment({"treatment": (30, 12), "control": (20, 4)}))
    assert result(lines) == result(lines * 2)


def test_an_exposure_whose_time_is_not_over_is_left_out_even_if_it_has_reached_the_goal() -> None:
    lines = [
        exposed("old", "treatment", day(0)), exposed("young", "treatment", day(1)),
        passed("old", "entered", "customer", day(2)), passed("young", "entered", "customer", day(2)),
    ]  # fmt: skip
    found = result(lines, until_ms=day(14))
    assert found.treatment == ArmCount(exposed=1, reached=1, immature=1)
    assert "1 account was left out: exposed less than 14 days ago." in remarks(found)


def test_what_happens_after_until_is_not_known_yet() -> None:
    lines = [exposed("a", "treatment", day(0)), exposed("b", "treatment", day(30))]
    lines.append(passed("a", "entered", "customer", day(20)))
    plan = Plan("save", Goal(((Direction.ENTERED, "customer"),), 15), 0.5)
    assert result(lines, plan, until_ms=day(15)).treatment == ArmCount(exposed=1, reached=0, immature=0)


def test_without_until_the_newest_record_is_the_present() -> None:
    lines = [exposed("a", "treatment", day(0)), exposed("b", "control", day(10)), passed("c", "entered", "x", day(20))]
    found = report(lines)
    assert found.as_of_ms == day(20)
    assert found.results[0].treatment.immature == 0
    assert found.results[0].control.immature == 1


def test_since_leaves_out_older_exposures() -> None:
    lines = [exposed("a", "treatment", day(0)), exposed("b", "treatment", day(10))]
    assert counts(result(lines, since_ms=day(10)))[0] == (1, 0)


def test_only_exposures_count_and_each_play_has_its_own() -> None:
    lines = [
        exposed("a", "treatment", day(0), "one"),
        delivered("b", day(0), "one"),
        exposed("c", "control", day(0), "two"),
    ]
    found = report(lines, Plan("one", GOAL, 0.5), Plan("two", GOAL, 0.5), until_ms=day(60))
    assert [counts(each) for each in found.results] == [((1, 0), (0, 0)), ((0, 0), (1, 0))]


def test_plays_that_were_exposed_and_have_no_goal_are_named() -> None:
    found = report([exposed("a", "treatment", day(0), "gone")])
    assert found.unplanned == ("gone",)
    assert "gone" in text(found)


# --- reading ---


def test_dumped_records_read_as_their_values_and_tombstones_as_nothing() -> None:
    value = exposed("a", "control", day(0))
    assert value_of(dumped(value, "playbook.actions.v1")) == value
    assert value_of(value) == value
    assert value_of(dumped(None, "playbook.actions.v1")) is None
    assert read(value) == ("save", Exposure("a", day(0), Arm.CONTROL))


@pytest.mark.parametrize(
    "line",
    [
        b"", b"nonsense", b"[]", b"{}", b"\xff", b"[" * 5_000,
        exposed("a", "neither", day(0)),
        exposed("a", "control", day(0)).replace(b"2026", b"then"),
        passed("a", "sideways", "x", day(0)),
    ],
)  # fmt: skip
def test_what_is_neither_action_nor_transition_is_counted_once_and_stops_nothing(line: bytes) -> None:
    with pytest.raises(UnreadableRecordError):
        read(line)
    lines = [line, exposed("a", "treatment", day(0)), passed("a", "entered", "customer", day(1))]
    found = report(lines, until_ms=day(60))
    assert found.unreadable == 1
    assert counts(found.results[0])[0] == (1, 1)


# --- bounds ---


def test_exposures_are_bounded_and_what_is_left_out_is_left_out_of_both_arms_alike() -> None:
    random = Random(7)
    exposures = Exposures(exposures_max=1_000)
    for n in range(20_000):
        arm = Arm.CONTROL if random.random() < 0.3 else Arm.TREATMENT
        exposures.add("save", Exposure(f"account-{n}", day(0), arm))
        assert sum(1 for _ in exposures.of("save")) <= 1_000 if n % 997 == 0 else True
    kept = list(exposures.of("save"))
    assert 400 < len(kept) <= 1_000
    assert exposures.kept_share == 1 / 32
    assert 0.25 < sum(one.arm is Arm.CONTROL for one in kept) / len(kept) < 0.35


def test_an_account_that_is_left_out_stays_out_in_every_play() -> None:
    exposures = Exposures(exposures_max=10)
    for n in range(100):
        for play in ("one", "two"):
            exposures.add(play, Exposure(f"account-{n}", day(0), Arm.TREATMENT))
    kept = {play: {one.account_id for one in exposures.of(play)} for play in exposures.plays}
    late = [n for n in range(100) if f"account-{n}" not in kept["one"]]
    assert kept["one"] == kept["two"]
    exposures.add("one", Exposure(f"account-{late[0]}", day(1), Arm.TREATMENT))
    assert exposures.first("one", f"account-{late[0]}") is None


# --- judgement ---


def judge(treatment: tuple[int, int], control: tuple[int, int], share: float = 0.5, **more: Any) -> Result:
    return judged(
        "save", GOAL, ArmCount(*treatment, immature=0), ArmCount(*control, immature=0), share,
        question=more.pop("question", Question()), **more,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("treatment", "control", "share", "verdict"),
    [
        ((500, 100), (0, 0), 0.0, Verdict.NO_CONTROL),
        ((0, 0), (0, 0), 0.5, Verdict.TOO_EARLY),
        ((600, 100), (400, 50), 0.5, Verdict.MISMATCH),
        ((50, 10), (50, 5), 0.5, Verdict.TOO_SMALL),
        ((2_000, 200), (2_000, 205), 0.5, Verdict.NO_DIFFERENCE),
        ((500, 100), (500, 50), 0.5, Verdict.BETTER),
        ((500, 50), (500, 100), 0.5, Verdict.WORSE),
    ],
)
def test_each_verdict_has_its_numbers(
    treatment: tuple[int, int], control: tuple[int, int], share: float, verdict: Verdict
) -> None:
    found = judge(treatment, control, share)
    assert found.verdict is verdict
    assert headline(found)
    assert explanation(found)


def test_a_small_sample_is_said_to_be_too_small_with_the_size_that_would_do() -> None:
    found = judge((50, 6), (50, 5))
    assert headline(found) == "too few accounts to tell"
    assert explanation(found) == (
        "The difference lies anywhere between −11.0 and +15.1 points. To see 5 points over 10.0 % with a power of 80% "  # noqa: RUF001
        "takes 686 treatment and 686 control; 636 and 636 are missing."
    )


def test_a_mismatch_is_told_before_any_difference_is_believed() -> None:
    found = judge((900, 300), (400, 20))
    assert found.difference is not None
    assert found.difference.leaves_out(0)
    assert found.verdict is Verdict.MISMATCH
    assert "do not trust" in headline(found)


def test_immature_accounts_count_for_the_split_that_was_drawn() -> None:
    lost = judged(
        "save", GOAL, ArmCount(100, 10, immature=900), ArmCount(100, 10, immature=0), 0.5, question=Question()
    )
    assert lost.verdict is Verdict.MISMATCH


def test_more_confidence_is_harder_to_convince() -> None:
    assert judge((300, 60), (300, 41)).verdict is Verdict.BETTER
    assert judge((300, 60), (300, 41), question=Question(confidence=0.99)).verdict is Verdict.TOO_SMALL


# --- what is shown ---


def test_the_text_says_what_a_reader_needs() -> None:
    shown = text(report(experiment({"treatment": (300, 60), "control": (300, 30)}), until_ms=day(60)))
    assert shown == (
        "as of 2026-04-30T00:00:00.000Z\n"
        "\n"
        "save: better with the play than without\n"
        "  goal         enters customer within 14 days\n"
        "  treatment    60 of 300 = 20.0 %\n"
        "  control      30 of 300 = 10.0 %\n"
        "  difference   +10.0 (+4.3 to +15.7) points, 95% interval\n"
        "  relative     +100 % (+33 % to +200 %)\n"
        "  The difference lies between +4.3 and +15.7 points, so not at 0.\n"
    )


def test_rows_have_the_same_keys_whatever_is_known() -> None:
    lines = experiment({"treatment": (30, 12)})
    plans = (Plan("save", GOAL, 0.0), Plan("other", GOAL, 0.5), Plan("third", Goal(((Direction.EXITED, "x"),), 1), 0.1))
    shown = list(rows(report(lines, *plans)))
    assert len({tuple(row) for row in shown}) == 1
    assert [row["verdict"] for row in shown] == ["no_control", "too_early", "too_early"]


def test_a_goal_of_several_is_reached_by_any_of_them() -> None:
    goal = Goal(((Direction.ENTERED, "customer"), (Direction.EXITED, "at_risk")), 14)
    lines = [exposed(account, "treatment", day(0)) for account in "abc"]
    lines += [passed("a", "exited", "at_risk", day(1)), passed("b", "entered", "customer", day(1))]
    assert counts(result(lines, Plan("save", goal, 0.5)))[0] == (3, 2)
    assert str(goal) == "enters customer or exits at_risk within 14 days"
