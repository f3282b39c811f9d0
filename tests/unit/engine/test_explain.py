"""What holds, what does not, and what would change it: in numbers, in time, in words."""

from typing import Any

import pytest

from streams.engine import codec
from streams.engine.distance import WAYS_MAX, Missing
from streams.engine.explain import Part, SegmentState, explain
from streams.engine.found import Forecast
from streams.engine.population import Thresholds
from tests.unit.engine.building import DAY, HOUR, MIDNIGHT, START, Log, program_of


def log_of(*segments: str | dict[str, Any], **entries: Any) -> Log:
    """One event at `START`."""
    log = Log(program_of(*segments, **entries))
    log.track("run", START, user="ada")
    return log


def states(log: Log, at: int = START) -> list[SegmentState]:
    log.until(at)
    return explain(log.account(), log.working(), at)


def only_part(rule: str, at: int = START, **entries: Any) -> Part:
    (state,) = states(log_of(rule, **entries), at)
    (part,) = state.when.parts
    return part


@pytest.mark.parametrize(
    ("rule", "missing", "change"),
    [
        ('count("run", days=7) >= 3', (1, 3, 2), "2 more run in 7 days (now 1 of 3)"),
        ('count("run", days=7) > 3', (1, 4, 3), "3 more run in 7 days (now 1 of 4)"),
        ('count("run") > 2.5', (1, 3, 2), "2 more run (now 1 of 3)"),
        ('3 <= count("run")', (1, 3, 2), "2 more run (now 1 of 3)"),
        ('count("*", days=2) >= 2', (1, 2, 1), "1 more event in 2 days (now 1 of 2)"),
        ("active_days(days=14) >= 4", (1, 4, 3), "3 more active days in 14 days (now 1 of 4)"),
        ("active_users(days=14) >= 2.5", (1, 3, 2), "2 more active users in 14 days (now 1 of 3)"),
        ("teams(days=30) >= 1", (0, 1, 1), "1 more team in 30 days (now 0 of 1)"),
        ("score(days=3) >= 8", (1, 8, 7), "score(days=3) 7 more (now 1 of 8)"),
        ("score(days=3) > 8", (1, 8, 7), "score(days=3) above 8 (now 1)"),
        ("score(days=3) >= 2 * score(days=3, before=1) + 1.5", (1, 1.5, 0.5), "score(days=3) 0.5 more (now 1 of 1.5)"),
        ("count('run', days=3, before=2) >= 1", (0, 1, 1), "1 more run in 3 days (now 0 of 1) once it is 2 days old"),
    ],
)
def test_a_comparison_tells_how_much_is_missing(rule: str, missing: tuple[float, float, float], change: str) -> None:
    part = only_part(rule)
    assert part.holds is False
    assert part.missing is not None
    assert (part.missing.have, part.missing.need, part.missing.amount) == missing
    assert part.change is not None
    assert part.change.split(" or in ")[0] == change


def test_age_turns_by_itself_to_the_millisecond() -> None:
    part = only_part("since(signed_up_at) > 3", START + DAY // 2)
    assert (part.holds, part.turns_at, part.change) == (False, START + 3 * DAY + 1, "in 2.5 days by itself")
    assert part.values == {"since(signed_up_at)": 0.5, "signed_up_at": "2026-03-02T12:00:00.000Z"}
    assert part.missing is None


def test_a_window_that_empties_turns_at_its_edge() -> None:
    part = only_part('count("run", days=2) < 1')
    assert (part.turns_at, part.change) == (MIDNIGHT + DAY, "in 36 hours by itself")


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("since(last_active_at) < 1", "any activity"),
        ('since(last("run")) <= 1', "another run"),
        ("since(signed_up_at) < 1", None),
        ("until(trial_ends_at) > 13", None),
        ('stage == "customer"', "subscription_started"),
        ('stage in ("cancelled", "expired")', "subscription_cancelled or in 12 days by itself"),
        ('stage == "trial" and stage != "trial"', None),
        ("nps >= 9", "nps at least 9 (now unknown)"),
        ('trait("goal") == "reporting"', "trait('goal') == 'reporting' becoming true"),
        ('known(trait("goal"))', "known(trait('goal')) becoming true"),
        ("activated", "1 more invite and 2 more run"),
        ("activation_rate < 0", None),
        ("False", None),
    ],
)
def test_other_conditions_tell_what_they_can(rule: str, change: str | None) -> None:
    log = log_of(rule, checklist=[{"event": "invite"}, {"event": "run", "count": 3}])
    (state,) = states(log, START + 2 * DAY)
    assert state.when.holds is False
    if len(state.when.parts) == 1:
        assert state.when.parts[0].change == change


def test_a_part_that_holds_tells_what_ends_it() -> None:
    part = only_part('stage == "trial"')
    assert (part.holds, part.change) == (True, "subscription_started or subscription_cancelled or in 14 days by itself")
    part = only_part('not count("run") >= 3')
    assert (part.holds, part.change) == (True, "2 more run (now 1 of 3)")


def test_and_needs_all_that_is_missing_and_or_any() -> None:
    every = 'not (count("a") < 1 or count("b") < 1 or count("run") < 1)'
    assert only_part(every).change == "1 more a (now 0 of 1) and 1 more b (now 0 of 1)"
    some = 'not (count("a") < 1 and count("b") < 1)'
    assert only_part(some).change == "1 more a (now 0 of 1) or 1 more b (now 0 of 1)"
    mixed = 'not (count("a") < 1 or (count("b") < 1 and count("c") < 1))'
    assert only_part(mixed).change == "1 more a (now 0 of 1) and (1 more b (now 0 of 1) or 1 more c (now 0 of 1))"
    hopeless = 'not (count("a") < 1 or since(signed_up_at) >= 0)'
    assert only_part(hopeless).change is None


def test_a_sentence_is_bounded() -> None:
    many = " and ".join(f'count("e{place}") < 1' for place in range(WAYS_MAX + 3))
    change = only_part(f"not ({many})").change
    assert change is not None
    assert change.count(" or ") == WAYS_MAX
    assert change.endswith(" or 3 other changes")


def test_parts_are_what_the_author_wrote_as_one_condition() -> None:
    (state,) = states(
        log_of({"when": 'count("run") >= 1 and since(signed_up_at) < 2', "exit_when": "nps < 3 or mrr > 1"})
    )
    assert [(part.text, part.holds) for part in state.when.parts] == [
        ("count('run') >= 1", True), ("since(signed_up_at) < 2", True),
    ]  # fmt: skip
    assert (state.when.needs, state.when.holds, state.when.turns_at) == ("all", True, START + 2 * DAY)
    assert state.exit_when is not None
    assert (state.exit_when.needs, state.exit_when.holds) == ("any", False)


def test_members_have_a_forecast_and_others_may_enter_by_themselves() -> None:
    inside, outside, never = states(log_of("since(signed_up_at) < 2", "since(signed_up_at) >= 2", "count('x') > 0"))
    assert (inside.entered_at, inside.enters_at) == (START, None)
    assert inside.forecast == Forecast(START + 2 * DAY, "exited", None)
    assert (outside.entered_at, outside.enters_at, outside.forecast) == (None, START + 2 * DAY, None)
    assert (never.entered_at, never.enters_at, never.forecast) == (None, None, None)


def test_waits_are_told_while_they_last() -> None:
    log = log_of({"when": 'count("run", days=1) >= 1', "min_dwell_days": 1, "cooldown_days": 2})
    (state,) = states(log, START + HOUR)
    assert state.waits_until == START + DAY
    (state,) = states(log, START + DAY)
    assert (state.entered_at, state.waits_until) == (None, START + 3 * DAY)
    (state,) = states(log, START + 3 * DAY)
    assert state.waits_until is None


def test_ranks_are_read_as_ranks_and_their_thresholds_told() -> None:
    log = log_of('top_percent("size", 10)', 'quintile("size") >= 4', definitions={"size": 'count("run", days=28)'})
    before, _ = states(log)
    assert before.when.parts[0].change == "new percentiles of all accounts"
    log.partition.apply_thresholds(Thresholds(START, {"size": [float(percent) for percent in range(101)]}))
    top, fifth = states(log)
    assert top.when.parts[0].missing == Missing("count('run', days=28)", 1, 90, 89)
    assert top.when.parts[0].change == "count('run', days=28) 89 more (now 1 of 90) or new percentiles of all accounts"
    assert fifth.when.parts[0].values == {"quintile('size')": 1}


def test_members_of_other_segments_are_told_by_name() -> None:
    first, second = states(log_of('member("s1")', "since(signed_up_at) >= 2"))
    assert first.when.parts[0].change == "entering s1 or in 2 days by itself"
    assert second.enters_at == first.enters_at == START + 2 * DAY


def test_explaining_changes_nothing() -> None:
    log = log_of('count("run", days=3) >= 1', "since(last_active_at) > 5", "score(days=2) > 4")
    before = codec.encode(log.account())
    explain(log.account(), log.working(), START + 2 * DAY)
    assert codec.encode(log.account()) == before
    log.track("run", START + 1)
    log.until(START + 10 * DAY)
    undisturbed = log_of('count("run", days=3) >= 1', "since(last_active_at) > 5", "score(days=2) > 4")
    undisturbed.track("run", START + 1)
    undisturbed.until(START + 10 * DAY)
    assert log.transitions == undisturbed.transitions
