"""When a membership ends if nothing happens: to the millisecond, through waits, edges and other segments."""

import pytest

from schemas.timestamps import YEAR_9999_END_MS, format_ms
from schemas.transition import Direction, decode_transition
from streams.engine import forecast as forecasting
from streams.engine.forecast import forecast_of
from streams.engine.found import Forecast
from streams.engine.outgoing import emitted, told
from streams.engine.population import Thresholds
from tests.unit.engine.building import DAY, HOUR, MIDNIGHT, START, Log, program_of


def _last(log: Log, segment: str) -> Forecast | None:
    return next(one for one in reversed(log.transitions) if one.segment == segment).forecast


def test_a_membership_that_time_ends_says_when() -> None:
    log = Log(program_of("since(signed_up_at) < 4", "since(last_active_at) <= 4"))
    log.track("run", START)
    assert _last(log, "s0") == Forecast(START + 4 * DAY, "exited", None)
    assert _last(log, "s1") == Forecast(START + 4 * DAY + 1, "exited", None)


def test_a_membership_that_only_a_record_ends_has_no_forecast() -> None:
    log = Log(program_of('count("run") >= 1'))
    log.track("run", START)
    assert [(one.segment, one.forecast) for one in log.transitions] == [("s0", None)]


def test_a_window_ends_it_at_the_start_of_a_day() -> None:
    log = Log(program_of('count("run", days=3) >= 2'))
    log.track("run", START)
    log.track("run", START + DAY)
    assert _last(log, "s0") == Forecast(MIDNIGHT + 2 * DAY, "exited", None)


def test_an_exit_that_is_due_within_the_dwell_waits_for_its_end() -> None:
    log = Log(program_of({"when": 'count("run", days=1) >= 1', "min_dwell_days": 2}))
    log.track("run", START)
    assert _last(log, "s0") == Forecast(START + 2 * DAY, "exited", None)


def test_a_group_moves_to_the_first_that_holds_then() -> None:
    log = Log(
        program_of(
            {"when": "since(last_active_at) >= 3", "group": "life"},
            {"when": "since(signed_up_at) < 5", "group": "life"},
            {"when": "True", "group": "life"},
        )
    )
    log.track("run", START)
    assert _last(log, "s1") == Forecast(START + 3 * DAY, "moved", "s0")
    log.until(START + 4 * DAY)
    assert _last(log, "s0") is None
    log.track("run", START + 4 * DAY)
    assert _last(log, "s1") == Forecast(START + 5 * DAY, "moved", "s2")


def test_a_segment_in_cooldown_is_passed_over() -> None:
    log = Log(
        program_of(
            {"when": 'count("run", days=1) >= 1', "group": "g", "cooldown_days": 9},
            {"when": "since(last_active_at) < 4", "group": "g"},
        )
    )
    log.track("run", START)
    log.until(MIDNIGHT)
    log.track("run", MIDNIGHT + HOUR)
    assert log.members() == {"s1"}
    account, working = log.account(), log.working()
    assert forecast_of("s1", account, working) == Forecast(MIDNIGHT + HOUR + 4 * DAY, "exited", None)


def test_members_of_other_segments_are_run_ahead_with_their_waits() -> None:
    log = Log(
        program_of(
            'member("s1")',
            {"when": 'count("run", days=1) >= 1', "min_dwell_days": 3, "cooldown_days": 1},
            "since(signed_up_at) < 1",
        )
    )
    log.track("run", START)
    assert _last(log, "s0") == Forecast(START + 3 * DAY, "exited", None)


def test_a_segment_that_leaves_on_the_way_ahead_waits_for_its_cooldown() -> None:
    log = Log(
        program_of(
            'not member("s1") or since(signed_up_at) < 1',
            {"when": 'count("run", days=1) >= 1 or since(signed_up_at) >= 2', "cooldown_days": 3},
        )
    )
    log.track("run", START)
    assert _last(log, "s0") == Forecast(MIDNIGHT + 3 * DAY, "exited", None)


def test_a_piecewise_line_is_followed_to_its_end() -> None:
    log = Log(program_of("abs(since(signed_up_at) - 10) > 2 or since(last_active_at) < 9"))
    log.track("run", START)
    assert _last(log, "s0") == Forecast(START + 9 * DAY, "exited", None)


def test_ranks_are_taken_as_they_are() -> None:
    log = Log(program_of('top_percent("size", 50)', definitions={"size": 'count("run", days=2)'}))
    log.track("run", START)
    log.partition.apply_thresholds(Thresholds(START, {"size": [1.0] * 101}))
    log.take()
    assert _last(log, "s0") == Forecast(MIDNIGHT + DAY, "exited", None)


def test_beyond_the_year_9999_nothing_ends() -> None:
    days = (YEAR_9999_END_MS - START) // DAY
    log = Log(program_of('until(time(trait("renewsAt"))) > -1'))
    log.group({"renewsAt": format_ms(START + days * DAY)}, START)
    assert _last(log, "s0") is None
    log = Log(program_of('until(time(trait("renewsAt"))) > -1'))
    log.group({"renewsAt": format_ms(START + (days - 1) * DAY)}, START)
    assert _last(log, "s0") == Forecast(START + days * DAY, "exited", None)


@pytest.mark.interpreted
def test_looking_ahead_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(program_of('count("run", days=5) >= 1'))
    for day in range(4):
        log.track("run", START + day * DAY)
    found = forecast_of("s0", log.account(), log.working())
    assert found == Forecast(MIDNIGHT + 7 * DAY, "exited", None)
    monkeypatch.setattr(forecasting, "STEPS_MAX", 3)
    assert forecast_of("s0", log.account(), log.working()) is None


def test_an_account_that_was_rolled_ahead_is_forecast_from_its_own_clock() -> None:
    """As after a look at the population, which needs every account's windows at one moment."""
    log = Log(program_of('count("run", days=3) >= 1'))
    log.track("run", START)
    working = log.working()
    working.roll(working.today + 5)
    assert forecast_of("s0", log.account(), working) == Forecast(MIDNIGHT + 2 * DAY, "exited", None)


def test_only_what_was_entered_is_forecast_and_written() -> None:
    log = Log(program_of("since(signed_up_at) < 1", {"when": "since(signed_up_at) >= 1"}))
    log.track("run", START)
    log.until(START + DAY)
    written = [decode_transition(told(one, emitted(None)).value) for one in log.transitions]
    first, left, entered = written
    assert first.forecast is not None
    assert (first.forecast.leaves_at, first.forecast.direction) == (format_ms(START + DAY), Direction.EXITED)
    assert (left.direction, left.forecast) == (Direction.EXITED, None)
    assert (entered.direction, entered.forecast) == (Direction.ENTERED, None)
