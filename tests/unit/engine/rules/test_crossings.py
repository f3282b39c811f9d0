"""Lines that cross years from now, at a sharp angle: the rule in floats decides when."""

import pytest

from schemas.timestamps import format_ms
from streams.engine.account import account_of
from streams.engine.calendar import DAY_MS
from streams.engine.rules.view import View
from streams.engine.working import Working
from tests.unit.engine.building import START, program_of


def _decided(rule: str, now: int) -> tuple[bool, int]:
    """Whether the rule holds, and when it may change."""
    account = account_of(first_seen=START, traits={"n": (0, 1.0001), "then": (0, format_ms(START - DAY_MS))})
    program = program_of(rule)
    when, _, flips_at = program.strata[0].judge.judge(View(account, Working(program, account), now, 0))
    return bool(when), flips_at


@pytest.mark.parametrize(
    "rule",
    [
        "1.0001 * since(signed_up_at) > since(time(trait('then')))",
        "trait('n') * since(signed_up_at) > since(time(trait('then'))) + 1",
        "since(signed_up_at) - 0.99999 * since(time(trait('then'))) >= 1",
        "1e6 * since(signed_up_at) < 999990 * since(time(trait('then'))) + 30",
        "1.0001 * since(signed_up_at) - since(time(trait('then'))) > 0",
        "until(signed_up_at) * 1.00001 < until(time(trait('then'))) - 2",
    ],
)
def test_lines_that_are_nearly_parallel_flip_at_the_first_ms_that_differs(rule: str) -> None:
    """Their crossing is computed coarsely, by the rounding of what has grown for years until then."""
    held, flips_at = _decided(rule, START)
    for _ in range(5):  # the sides are equal for some ms before they have changed places
        if _decided(rule, flips_at)[0] is not held:
            break
        flips_at = _decided(rule, flips_at)[1]
    assert START + 1_000 * DAY_MS < flips_at < START + 1_000_000 * DAY_MS
    assert _decided(rule, flips_at)[0] is not held
    assert _decided(rule, flips_at - 1)[0] is held
    assert _decided(rule, flips_at - DAY_MS)[0] is held
    assert _decided(rule, flips_at + DAY_MS)[0] is not held


def test_a_sum_of_bent_values_bends_where_either_of_them_does() -> None:
    """It falls to 3 on day 2, rises to 6 on day 8, and rises on, faster."""
    rule = "abs(since(signed_up_at) - 2) + abs(since(time(trait('then'))) - 9) / 2 < 4"
    now, found = START, [_decided(rule, START)[0]]
    flips = []
    while now < START + 40 * DAY_MS:
        now = _decided(rule, now)[1]
        holds = _decided(rule, now)[0]
        if holds is not found[-1]:
            found.append(holds)
            flips.append(now - START)
    assert found == [False, True, False]
    assert flips == [4 * DAY_MS // 3 + 1, 4 * DAY_MS]
