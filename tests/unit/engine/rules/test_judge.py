"""Shorter ways to the same: what is left to ask where the standing is known, and values told in whole numbers."""

from typing import Any, Final

from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.engine.account import account_of
from streams.engine.calendar import DAY_MS
from streams.engine.population import Thresholds
from streams.engine.rules.expression import Op
from streams.engine.rules.judge import WORD
from streams.engine.rules.readings import Score, length_shown, shown
from streams.engine.rules.view import View
from streams.engine.working import Working
from tests.unit.engine.building import DAY, START, Log, program_of

FACTS: Final = (
    "stage == 'trial'", "stage != 'customer'", "stage in ('customer', 'expired')", "stage not in ('trial',)",
    "activated", "count('run', days=7) >= 2", "count('run') > 1", "since(signed_up_at) < 3", "True", "False",
)  # fmt: skip


@st.composite
def rules(draw: st.DrawFn, depth: int = 3) -> str:
    if depth == 0:
        return draw(st.sampled_from(FACTS))
    one, other = draw(rules(depth - 1)), draw(rules(depth - 1))
    return draw(st.sampled_from([one, f"not ({one})", f"(({one}) and ({other}))", f"(({one}) or ({other}))"]))


@settings(deadline=None)
@given(
    rule=rules(), runs=st.integers(0, 3), customer=st.booleans(), cancelled=st.booleans(),
    days=st.sampled_from([0, 4, 20]),
)  # fmt: skip
def test_a_rule_holds_if_its_parts_do_whatever_the_standing(
    *, rule: str, runs: int, customer: bool, cancelled: bool, days: int
) -> None:
    program = program_of(rule, checklist=[{"event": "run", "count": 1}])
    log = Log(program)
    log.track("ping", START)
    for place in range(runs):
        log.track("run", START + place)
    if customer:
        log.track("subscription_started", START)
    if cancelled:
        log.track("subscription_cancelled", START + 1)
    log.until(START + days * DAY)
    account, working = log.account(), log.working()
    at = View(account, working, account.now, working.members)
    parts, holds = program.parts[0].when, program.strata[0].judge.judge(at)[0] == 1
    held, failed = parts.held(at), parts.failed(at)
    assert (bool(held), bool(failed)) == (holds, not holds)
    whole = failed if program.rules[0].when.op is Op.OR else held  # all parts have to fail, or to hold
    assert whole in ([], [part.text for part in program.rules[0].when.parts()])


@given(
    name=st.sampled_from(["load", "age", "idle", "money"]), symbol=st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
    fifth=st.integers(-1, 7), events=st.integers(1, 4), mrr=st.sampled_from([None, 0, 2, 2.5, 1 << 60]),
    cuts=st.lists(st.sampled_from([-2.0, 0.0, 1.0, 2.0, 3.0, float(1 << 60)]), min_size=5, max_size=5) | st.just([]),
)  # fmt: skip
def test_a_quintile_is_compared_by_its_percentiles_as_it_is_by_itself(
    *, name: str, symbol: str, fifth: int, events: int, mrr: float | None, cuts: list[float]
) -> None:
    definitions = {"load": 'count("a")', "age": "-since(signed_up_at)", "idle": "since(converted_at)", "money": "mrr"}
    rules = [f'quintile("{name}"){more} {symbol} {fifth}' for more in ("", " + 0")]
    log = Log(program_of(*rules, definitions=definitions))
    log.group({} if mrr is None else {"mrr": mrr}, START)
    for second in range(events):
        log.track("a", START + second)
    percentiles = [cut for cut in sorted(cuts) for _ in range(20)] + sorted(cuts)[-1:]
    log.partition.apply_thresholds(Thresholds(START + DAY, {name: percentiles}))
    assert log.members() in ({"s0", "s1"}, set())


def test_segments_beyond_one_word_are_decided_as_the_first_are() -> None:
    segments: list[str | dict[str, Any]] = [f"count('run') > {place % 3}" for place in range(2 * WORD + 3)]
    segments[WORD + 1] = {"when": "False", "exit_when": "count('run') == 1"}
    program = program_of(*segments)
    log = Log(program)
    log.track("run", START)
    account, working = log.account(), log.working()
    when, exits, _ = program.strata[0].judge.judge(View(account, working, START, working.members))
    expected = sum(1 << place for place in range(2 * WORD + 3) if place % 3 == 0 and place != WORD + 1)
    assert when == expected
    everyone = (1 << len(segments)) - 1
    assert exits & everyone == everyone & ~expected


@given(st.integers(-(1 << 46), 1 << 46) | st.integers(-200 * DAY_MS, 200 * DAY_MS))
@example(0)
@example(DAY_MS)
@example(54)
@example(-54)
@example((1 << 45) + 1)
def test_a_length_is_shown_as_the_float_of_its_days(length_ms: int) -> None:
    found, expected = length_shown(length_ms), shown(length_ms / DAY_MS)
    assert (found, type(found)) == (expected, type(expected))


@given(st.integers(-(1 << 36), 1 << 60))
def test_a_score_is_shown_as_the_float_that_it_is(thousandths: int) -> None:
    program = program_of("score(days=1) > 1")
    account = account_of(first_seen=START, now=START)
    at = View(account, Working(program, account), START, 0)
    at.values[0] = thousandths
    found, expected = Score(0).shown(at), shown(thousandths / 1000)
    assert (found, type(found)) == (expected, type(expected))
