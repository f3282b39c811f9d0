"""Section 1 of the contract, step by step."""

import pytest

from schemas.timestamps import parse_ms
from streams.engine.account import MINUS_INFINITY
from streams.engine.apply import Noted
from streams.engine.clock import horizon
from streams.engine.partition import Outcome
from streams.limits import CLOCK_SKEW_NOTED_MS
from tests.unit.engine.building import DAY, GRACE, HOUR, MIDNIGHT, SECOND, START, Log, program_of

TWO_DAYS = 'since(last("a")) >= 2'


@pytest.mark.parametrize(
    ("t", "arrival", "until"),
    [(START, START, START), (START - GRACE, START, START - GRACE), (START - DAY, START, START - GRACE)],
)
def test_the_horizon_is_the_event_or_the_arrival_less_the_grace(t: int, arrival: int, until: int) -> None:
    assert horizon(t, arrival) == until


def test_clocks_move_to_the_horizon_and_never_back() -> None:
    log = Log(program_of("True"))
    steps = [
        (START, START, START, START),
        (START + HOUR, START + HOUR, START + HOUR, START + HOUR),
        (START, START + HOUR, START + HOUR, START + HOUR),  # late
        (START, START + 2 * HOUR, START + 2 * HOUR - GRACE, START + 2 * HOUR),  # late, but it arrived
        (START, START, START + 2 * HOUR - GRACE, START + 2 * HOUR),  # arrived out of order
    ]
    for t, a, now, arrival in steps:
        log.track("a", t, a=a)
        assert (log.account().now, log.account().arrival) == (now, arrival)


def test_an_event_of_the_future_happens_when_it_arrives() -> None:
    log = Log(program_of("True"))
    log.track("a", START + DAY, a=START)
    assert log.account().now == log.account().events["a"].last == START
    assert log.partition.counts[Noted.CLOCK_AHEAD] == 1


@pytest.mark.parametrize(("ahead", "noted"), [(0, 0), (1, 0), (CLOCK_SKEW_NOTED_MS, 0), (CLOCK_SKEW_NOTED_MS + 1, 1)])
def test_a_clock_far_ahead_is_counted(ahead: int, noted: int) -> None:
    log = Log(program_of("True"))
    log.track("a", START, a=START)
    log.track("a", START + ahead, a=START)
    assert log.partition.counts[Noted.CLOCK_AHEAD] == noted


def test_ahead_is_ahead_of_all_that_arrived_before() -> None:
    """A record that arrived out of order may be later than its own arrival, if others have arrived later still."""
    log = Log(program_of("True"))
    log.track("a", START + HOUR)
    log.track("a", START + HOUR, a=START)
    assert log.account().events["a"].last == START + HOUR
    assert log.partition.counts[Noted.CLOCK_AHEAD] == 0


@pytest.mark.parametrize(("before", "fired"), [(1, []), (0, [("s0", "entered", START + 2 * DAY)])])
def test_a_deadline_fires_before_an_event_at_its_own_moment(before: int, fired: list[tuple[str, str, int]]) -> None:
    log = Log(program_of(TWO_DAYS))
    log.track("a", START)
    log.record({"type": "identify"}, START + 2 * DAY - before)
    assert log.story() == fired


def test_an_event_at_the_deadline_comes_after_it() -> None:
    log = Log(program_of(TWO_DAYS))
    log.track("a", START)
    log.track("a", START + 2 * DAY)
    assert log.story() == [("s0", "entered", START + 2 * DAY), ("s0", "exited", START + 2 * DAY)]
    assert [found.trigger for found in log.transitions] == ["deadline", ("m2", "track")]


def test_a_late_event_in_the_grace_comes_before_the_deadline() -> None:
    """Within the grace it cannot be told from one in order; after it the deadline has fired."""
    for lateness, story in (
        (GRACE - 1, []),
        (GRACE, [("s0", "entered", START + 2 * DAY), ("s0", "exited", START + 2 * DAY)]),
    ):
        log = Log(program_of(TWO_DAYS))
        log.track("a", START)
        log.track("a", START + 2 * DAY - HOUR, a=START + 2 * DAY + lateness)
        assert log.story() == story


def test_all_deadlines_passed_fire_in_order_each_at_its_own_time() -> None:
    log = Log(program_of('1 <= since(last("a")) < 3', 'since(last("a")) > 2', 'count("a", days=4) == 0'))
    log.track("a", START)
    log.record({"type": "identify"}, START + 10 * DAY)
    assert log.story() == [
        ("s0", "entered", START + DAY),
        ("s1", "entered", START + 2 * DAY + 1),
        ("s0", "exited", START + 3 * DAY),
        ("s2", "entered", MIDNIGHT + 3 * DAY),
    ]
    assert {found.trigger for found in log.transitions} == {"deadline"}


def test_a_late_event_is_dated_by_the_clock_not_by_itself() -> None:
    log = Log(program_of('count("a", days=5) >= 2'))
    log.track("a", START)
    log.track("a", START - 2 * DAY, a=START + HOUR)
    assert log.story() == [("s0", "entered", START + HOUR - GRACE)]


# --- clock records ---


def test_a_clock_record_fires_what_is_due_for_every_account() -> None:
    log = Log(program_of(TWO_DAYS))
    for account in ("acme", "bolt"):
        log.track("a", START, account=account)
    log.clock(START + 2 * DAY + GRACE - 1)
    assert log.story() == []
    log.clock(START + 2 * DAY + GRACE)
    assert log.story() == [("s0", "entered", START + 2 * DAY)] * 2
    assert {found.trigger for found in log.transitions} == {"deadline"}


def test_a_clock_record_is_an_arrival_for_accounts_it_does_not_touch() -> None:
    """What comes after it is late by the partition's clock, though the account itself has seen nothing of the kind."""
    log = Log(program_of("True"))
    log.track("a", START)
    log.clock(START + DAY)
    assert log.account().arrival == START + DAY
    assert log.account().now == START, "there was no deadline: its own clock waits for its next record"
    log.track("a", START + HOUR, a=START + HOUR)
    assert log.account().now == START + DAY - GRACE


def test_a_clock_record_makes_ids_older() -> None:
    log = Log(program_of("True"))
    log.track("a", START, message="m")
    log.clock(START + DAY)
    assert log.track("a", START, message="m") is Outcome.DUPLICATE
    log.clock(START + DAY + 1)
    assert log.track("a", START, message="m") is Outcome.APPLIED


def test_an_account_that_begins_after_a_clock_record_has_a_clock_of_its_own() -> None:
    log = Log(program_of("True"))
    log.track("a", START, account="bolt")
    log.clock(START + 100 * DAY)
    log.track("a", START + SECOND, account="acme")
    assert (log.account().now, log.account().arrival) == (START + SECOND, START + SECOND)
    log.clock(START + 100 * DAY + 1)
    assert log.account().arrival == START + 100 * DAY + 1


def test_a_clock_record_that_is_behind_changes_nothing() -> None:
    log = Log(program_of(TWO_DAYS))
    log.track("a", START)
    log.clock(START + DAY)
    log.clock(START)
    assert log.partition.floor == START + DAY
    assert log.account().arrival == START + DAY


def test_a_clock_record_on_an_empty_partition_is_remembered() -> None:
    log = Log(program_of("True"))
    log.clock(START)
    assert (log.partition.floor, len(log.partition), log.transitions) == (START, 0, [])


# --- the ends of time ---


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_any_year_is_a_time(time: str, zone: str) -> None:
    at = parse_ms(time)
    assert at is not None
    log = Log(program_of(TWO_DAYS, 'count("a", days=3) > 0', "stage == 'expired'", timezone=zone))
    log.track("a", at)
    log.group({"createdAt": "0001-01-01T00:00:00Z", "trialEndsAt": "9999-12-31T23:59:59.999Z"}, at)
    log.until(at + 400 * DAY)
    assert ("s0", "entered", at + 2 * DAY) in log.story()
    assert [direction for segment, direction, _ in log.story() if segment == "s1"] == ["entered", "exited"]


def test_a_record_of_the_first_year_that_arrives_today_is_a_fact_or_too_late() -> None:
    first = parse_ms("0001-01-01T00:00:00Z")
    assert first is not None
    log = Log(program_of("since(signed_up_at) > 700000"))
    assert log.track("a", first, a=START) is Outcome.TOO_LATE
    assert "acme" not in log.partition
    log.group({"plan": "old"}, first, a=START)
    assert log.members() == {"s0"}
    assert log.account().now == START - GRACE


def test_nothing_has_happened_before_the_first_record() -> None:
    log = Log(program_of("True"))
    assert log.partition.account("acme") is None
    log.until(START)
    log.clock(START)
    assert log.transitions == []
    assert log.partition.floor > MINUS_INFINITY
