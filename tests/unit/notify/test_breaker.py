"""The breaker's table, row by row."""

from streams.notify.deliver.breaker import FAILURES_MAX, Breaker, BreakerState, Permit

CLOSED, OPEN = BreakerState.CLOSED, BreakerState.OPEN
NOW = 1_000_000


def failing(times: int, breaker: Breaker | None = None) -> Breaker:
    breaker = breaker or Breaker()
    for _ in range(times):
        breaker = breaker.failed(NOW, probe=False)
    return breaker


def test_it_opens_at_the_fifth_failure_in_a_row_and_not_before() -> None:
    assert failing(4).state is CLOSED
    opened = failing(5)
    assert (opened.state, opened.until_ms) == (OPEN, NOW + 10_000)


def test_a_success_starts_the_count_again() -> None:
    assert failing(4, failing(4).succeeded(probe=False)).state is CLOSED


def test_nothing_may_start_while_it_is_open_and_then_one_probe() -> None:
    opened = failing(FAILURES_MAX)
    assert opened.permit(NOW + 9_999) is Permit.NONE
    assert opened.permit(NOW + 10_000) is Permit.PROBE
    assert opened.probing().permit(NOW + 1_000_000) is Permit.NONE


def test_a_probe_that_succeeds_closes_it() -> None:
    assert failing(FAILURES_MAX).probing().succeeded(probe=True) == Breaker()


def test_each_probe_that_fails_doubles_the_wait_up_to_five_minutes() -> None:
    breaker = failing(FAILURES_MAX)
    waits = []
    for _ in range(8):
        waits.append(breaker.open_ms)
        breaker = breaker.probing().failed(NOW, probe=True)
    assert waits == [10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000]


def test_after_it_closed_it_opens_for_ten_seconds_again() -> None:
    breaker = failing(FAILURES_MAX).probing().failed(NOW, probe=True).probing().succeeded(probe=True)
    assert failing(FAILURES_MAX, breaker).open_ms == 10_000


def test_what_was_under_way_when_it_opened_changes_nothing() -> None:
    for breaker in (failing(FAILURES_MAX), failing(FAILURES_MAX).probing()):
        assert breaker.failed(NOW + 5, probe=False) == breaker
        assert breaker.succeeded(probe=False) == breaker


def test_refused_credentials_open_it_at_its_longest_from_any_state() -> None:
    for breaker in (Breaker(), failing(FAILURES_MAX), failing(FAILURES_MAX).probing()):
        refused = breaker.refused(NOW)
        assert (refused.state, refused.until_ms) == (OPEN, NOW + 300_000)


def test_an_operator_need_not_wait_for_the_probe_and_gets_one() -> None:
    asked = failing(FAILURES_MAX).asked(NOW + 1)
    assert asked.permit(NOW + 1) is Permit.PROBE
    assert asked.probing().asked(NOW + 2).permit(NOW + 2) is Permit.NONE
    assert asked.probing().failed(NOW + 2, probe=True).until_ms == NOW + 2 + 20_000
    assert Breaker(failures=4).asked(NOW) == Breaker(failures=4)


def test_a_probe_that_told_nothing_is_repeated_at_once() -> None:
    assert failing(FAILURES_MAX).probing().withdrawn(NOW).permit(NOW) is Permit.PROBE
