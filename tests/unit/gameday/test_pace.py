"""Laws of what a time seen in a rehearsal means."""

import pytest

from tests.gameday.pace import Real, at_real_pace, spoken


def test_what_an_alert_holds_scales_and_the_rest_scales_between_not_at_all_and_wholly() -> None:
    # Held for five minutes, at half the pace: 150 of the 160 seconds. The other ten are ten, or twenty.
    assert at_real_pace(160, 300, 0.5) == Real(310, 320)


def test_at_the_usual_pace_what_was_seen_is_what_it_is() -> None:
    assert at_real_pace(320, 300, 1) == Real(320, 320)


def test_an_alert_cannot_fire_before_it_has_held() -> None:
    assert at_real_pace(9, 300, 1 / 30) == Real(300, 300)


@pytest.mark.parametrize(
    ("seconds", "text"), [(7.4, "7 s"), (99, "99 s"), (302, "5 min"), (5_400, "90 min"), (9_000, "2.5 h")]
)
def test_times_are_spoken_in_the_unit_that_one_would_say(seconds: float, text: str) -> None:
    assert spoken(seconds) == text


def test_a_range_without_width_is_one_time() -> None:
    assert str(Real(300, 301)) == "5 min"
    assert str(Real(302, 360)) == "5 min to 6 min"
