"""Times on the command line."""

import pytest

from streams.cli.moments import age, future, now_ms, past
from streams.errors import SettingsError


def test_a_span_is_before_or_after_now() -> None:
    now = now_ms()
    assert (past("2h", "--since") or 0) - now == pytest.approx(-7_200_000, abs=5_000)
    assert (future("3d", "--until") or 0) - now == pytest.approx(3 * 86_400_000, abs=5_000)
    assert past(None, "--since") is None


def test_a_moment_is_taken_as_it_is_and_what_is_none_is_refused() -> None:
    assert past("2026-03-01T00:00:00Z", "--since") == future("2026-03-01T00:00:00Z", "--until") == 1_772_323_200_000
    for text in ("soon", "h", "999999999d", "-1h", "1w", "²h", ""):
        with pytest.raises(SettingsError, match="--until"):
            future(text, "--until")


@pytest.mark.parametrize(("ms", "shown"), [(0, "0s"), (59_999, "59s"), (3_600_000, "1h"), (200_000_000, "2d")])
def test_an_age_has_one_unit(ms: int, shown: str) -> None:
    assert age(ms) == shown
