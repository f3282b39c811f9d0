"""Dispatch under a clock that is driven: order, pace, health, and that nothing is lost."""

import random
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.action import ActionOutcome, Reason
from streams.connectors.outcome import Outcome, OutcomeKind, ok, throttled
from streams.notify.deliver.breaker import BreakerState
from streams.notify.deliver.dispatch import Dispatch, Unsendable
from streams.notify.plan.delivery import Delivery
from tests.unit.notify.simulation import Answer, Simulation
from tests.unit.notify.world import NOW_MS, delivery, destination, news

K = OutcomeKind
SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000


def always(outcome: Outcome, after_ms: int = 50) -> Answer:
    return lambda _now, _delivery: (outcome, after_ms)


def down_until(at_ms: int, outcome: Outcome, after_ms: int = 50) -> Answer:
    return lambda now, _delivery: (ok() if now >= at_ms else outcome, after_ms)


def deliveries(count: int, accounts: int) -> list[Delivery]:
    return [delivery(f"a{number % accounts}", number) for number in range(count)]


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(min_value=0, max_value=2**32), accounts=st.integers(min_value=1, max_value=6))
def test_whatever_a_destination_does_nothing_is_lost_nothing_is_settled_twice_and_accounts_keep_their_order(
    seed: int, accounts: int
) -> None:
    chance = random.Random(seed)
    kinds = chance.choices(list(K), k=chance.randint(1, 5))
    calm_at = NOW_MS + chance.randint(0, 3) * HOUR

    def answer(now: int, _: Delivery) -> tuple[Outcome, int]:
        kind = chance.choice(kinds) if now < calm_at else K.OK
        after_s = chance.choice([None, 0.0, 1.0, 90.0]) if kind is K.THROTTLED else None
        return Outcome(kind, after_s=after_s), chance.choice([1, 50, 2_000, 12_000])

    simulation = Simulation(destination(in_flight_max=chance.randint(1, 5), rate_per_s=None), answer)
    offered = deliveries(chance.randint(1, 40), accounts)
    at_ms = NOW_MS
    for one in offered:
        at_ms += chance.choice([0, 0, 10, 60_000])
        simulation.offer(one, at_ms)
    simulation.run(NOW_MS + 200 * HOUR)
    assert simulation.settled.keys() == {one.delivery_id for one in offered}
    assert simulation.dispatch.in_flight == len(simulation.dispatch.lanes) == 0
    simulation.check_order()
    if not {K.REJECTED, K.GONE} & set(kinds):
        assert len(simulation.delivered) == len(offered)


def test_slacks_pace_is_kept_over_all_accounts_together() -> None:
    simulation = Simulation(destination(rate_per_s=1.0), always(ok(), 5))
    for one in deliveries(30, 7):
        simulation.offer(one)
    simulation.run(NOW_MS + HOUR)
    starts = [attempt.at_ms for attempt in simulation.attempts]
    assert len(starts) == 30
    assert min(later - earlier for earlier, later in pairwise(starts)) >= SECOND


def test_a_throttle_pauses_the_whole_destination_for_as_long_as_it_says_and_costs_no_attempt() -> None:
    answers = iter([(throttled(90, "429"), 10)])
    simulation = Simulation(destination(in_flight_max=1), lambda *_: next(answers, (ok(), 10)))
    for one in deliveries(3, 3):
        simulation.offer(one)
    simulation.run(NOW_MS + HOUR)
    first, second, *_ = (attempt.at_ms for attempt in simulation.attempts)
    assert second - first == 90 * SECOND + 10
    assert {settled.verdict.attempts for settled in simulation.settled.values()} == {1}
    assert len(simulation.delivered) == 3


def test_a_destination_that_throttles_without_saying_for_how_long_is_asked_ever_more_rarely() -> None:
    simulation = Simulation(destination(in_flight_max=1), down_until(NOW_MS + 10 * MINUTE, throttled(None, "429"), 0))
    simulation.offer(delivery())
    simulation.run(NOW_MS + HOUR)
    starts = [attempt.at_ms for attempt in simulation.attempts]
    assert [(later - earlier) // SECOND for earlier, later in pairwise(starts)] == [10, 20, 40, 80, 160, 300]
    assert len(simulation.delivered) == 1


def test_what_comes_up_while_its_readers_sleep_waits_for_the_morning_and_holds_back_nobody_else() -> None:
    morning = NOW_MS + 8 * HOUR

    def opens(one: Delivery, now_ms: int) -> int:
        return max(now_ms, morning) if one.news.account_id == "asleep" else now_ms

    dispatch = Dispatch(destination(rate_per_s=None), opens=opens)
    for one in [delivery("asleep", 1), delivery("awake", 2)]:
        dispatch.offer(one, NOW_MS)
    start = dispatch.next(NOW_MS)
    assert start is not None
    assert [one.news.account_id for one in start.deliveries] == ["awake"]
    dispatch.concluded(start, [ok()], NOW_MS)
    assert dispatch.next(NOW_MS) is None
    assert dispatch.wake_ms(NOW_MS) == morning
    assert dispatch.next(morning - 1) is None
    late = dispatch.next(morning)
    assert late is not None
    assert [one.news.account_id for one in late.deliveries] == ["asleep"]


def test_a_destination_that_is_back_at_night_is_not_flooded_before_the_quiet_hours_end() -> None:
    morning = NOW_MS + 8 * HOUR
    simulation = Simulation(
        destination(rate_per_s=None), down_until(NOW_MS + 2 * HOUR, Outcome(K.RETRY_DESTINATION), 10)
    )
    simulation.dispatch = Dispatch(
        simulation.dispatch.destination, opens=lambda _, at: at if at < NOW_MS + HOUR else max(at, morning)
    )
    for one in deliveries(20, 20):
        simulation.offer(one)
    simulation.run(NOW_MS + 9 * HOUR)
    assert len(simulation.delivered) == 20
    assert not [one for one in simulation.attempts if NOW_MS + HOUR <= one.at_ms < morning]


def test_what_waits_for_its_own_sake_is_not_released_when_the_destination_is_back() -> None:
    dispatch = Dispatch(destination())
    sick = delivery("sick", 1, strikes=5)
    for one in [sick, *deliveries(8, 8)]:
        dispatch.offer(one, NOW_MS)
    first = dispatch.next(NOW_MS)
    assert first is not None
    dispatch.concluded(first, [Outcome(K.RETRY_RECORD)], NOW_MS)
    for _ in range(5):
        start = dispatch.next(NOW_MS)
        assert start is not None
        dispatch.concluded(start, [Outcome(K.RETRY_DESTINATION)], NOW_MS)
    assert dispatch.breaker.state is BreakerState.OPEN
    waiting = NOW_MS + 30 * SECOND
    told = []
    while start := dispatch.next(waiting):
        told.append(start.deliveries[0].news.account_id)
        dispatch.concluded(start, [ok()], waiting)
    assert len(told) == 8
    assert "sick" not in told


def test_a_record_that_fails_parks_its_own_account_alone() -> None:
    def answer(now: int, one: Delivery) -> tuple[Outcome, int]:
        sick = one.news.account_id == "a0" and now < NOW_MS + HOUR
        return Outcome(K.RETRY_RECORD) if sick else ok(), 10

    simulation = Simulation(destination(), answer)
    for one in deliveries(40, 4):
        simulation.offer(one)
    simulation.run(NOW_MS + MINUTE)
    assert Counter(one.news.account_id for _, one in simulation.delivered) == {"a1": 10, "a2": 10, "a3": 10}
    assert simulation.dispatch.breaker.state is BreakerState.CLOSED
    simulation.run(NOW_MS + 5 * HOUR)
    assert len(simulation.delivered) == 40
    simulation.check_order()


def test_a_dead_destination_is_asked_ever_more_rarely_by_one_probe_at_a_time() -> None:
    simulation = Simulation(destination(in_flight_max=5), always(Outcome(K.RETRY_DESTINATION)))
    for one in deliveries(50, 50):
        simulation.offer(one)
    simulation.run(NOW_MS + 10 * MINUTE)
    first = [attempt for attempt in simulation.attempts if not attempt.probe]
    probes = [attempt.at_ms - NOW_MS for attempt in simulation.attempts if attempt.probe]
    assert len(first) == 5
    assert [round((b - a) / SECOND) for a, b in pairwise(probes)] == [20, 40, 80, 160]


def test_probes_take_turns_so_that_one_bad_record_does_not_keep_a_destination_shut() -> None:
    def answer(now: int, one: Delivery) -> tuple[Outcome, int]:
        poison = one.news.account_id == "a0"
        return (Outcome(K.RETRY_DESTINATION) if poison or now < NOW_MS + MINUTE else ok()), 10

    simulation = Simulation(destination(in_flight_max=1), answer)
    for one in deliveries(10, 10):
        simulation.offer(one)
    simulation.run(NOW_MS + 10 * MINUTE)
    assert len(simulation.delivered) == 9


def test_when_a_destination_is_back_after_two_days_all_that_waited_goes_at_its_pace_and_in_order() -> None:
    back_at = NOW_MS + 48 * HOUR
    simulation = Simulation(destination(rate_per_s=10.0), down_until(back_at, Outcome(K.RETRY_DESTINATION)))
    offered = deliveries(2_000, 100)
    for number, one in enumerate(offered):
        simulation.offer(one, NOW_MS + number * MINUTE)
    simulation.run(back_at + 10 * MINUTE)
    assert len(simulation.delivered) == 2_000
    first = min(at for at, _ in simulation.delivered)
    last = max(at for at, _ in simulation.delivered)
    assert back_at <= first <= back_at + 5 * MINUTE + SECOND
    assert last - first <= 2_000 / 10 * SECOND + SECOND
    assert len(simulation.attempts) < 2_000 + 48 * 12 + 50
    simulation.check_order()


def test_a_delivery_that_an_operator_wants_tried_is_the_probe_and_when_it_succeeds_all_go() -> None:
    simulation = Simulation(destination(rate_per_s=None), down_until(NOW_MS + MINUTE, Outcome(K.AUTH)))
    offered = deliveries(30, 30)
    for one in offered:
        simulation.offer(one)
    simulation.run(NOW_MS + 2 * MINUTE)
    assert not simulation.delivered
    tried = len(simulation.attempts)
    simulation.dispatch.hurry(offered[17], simulation.now_ms)
    simulation.run(simulation.now_ms + SECOND)
    assert [one.delivery for one in simulation.attempts[tried : tried + 1]] == [offered[17]]
    assert simulation.attempts[tried].probe
    assert len(simulation.delivered) == 30


def test_an_operator_who_asks_again_and_again_gets_one_attempt_at_a_time() -> None:
    simulation = Simulation(destination(rate_per_s=None), always(Outcome(K.RETRY_DESTINATION), 2 * SECOND))
    offered = deliveries(30, 30)
    for one in offered:
        simulation.offer(one)
    simulation.run(NOW_MS + 5 * SECOND)
    tried = len(simulation.attempts)
    for one in offered:
        simulation.dispatch.hurry(one, simulation.now_ms)
        simulation.run(simulation.now_ms + 10)
    assert len(simulation.attempts) == tried + 1


def test_when_a_destination_is_back_what_had_failed_often_does_not_wait_for_its_own_long_backoff() -> None:
    simulation = Simulation(destination(), down_until(NOW_MS + 5 * MINUTE, Outcome(K.RETRY_DESTINATION)))
    simulation.offer(delivery("old", 1, strikes=8))
    for number in range(2, 12):
        simulation.offer(delivery(f"a{number}", number), NOW_MS + SECOND)
    simulation.run(NOW_MS + 15 * MINUTE)
    assert len(simulation.delivered) == 11


def test_what_a_dead_destination_cannot_take_within_its_time_becomes_a_dead_letter_then() -> None:
    simulation = Simulation(destination(give_up_h=2), always(Outcome(K.RETRY_DESTINATION)))
    for one in deliveries(20, 4):
        simulation.offer(one)
    simulation.run(NOW_MS + 2 * HOUR - SECOND)
    assert not simulation.settled
    simulation.run(NOW_MS + 2 * HOUR + 10 * SECOND)
    assert {settled.verdict.reason for settled in simulation.settled.values()} == {Reason.EXPIRED}
    assert len(simulation.settled) == 20


def test_refused_credentials_keep_everything_and_ask_every_five_minutes() -> None:
    simulation = Simulation(destination(in_flight_max=1), down_until(NOW_MS + HOUR, Outcome(K.AUTH)))
    for one in deliveries(20, 20):
        simulation.offer(one)
    simulation.run(NOW_MS + HOUR - 1)
    assert not simulation.settled
    assert len(simulation.attempts) == 12
    simulation.run(NOW_MS + 2 * HOUR)
    assert len(simulation.delivered) == 20


def test_a_destination_that_is_gone_is_asked_once_in_five_minutes_and_keeps_nothing_waiting() -> None:
    simulation = Simulation(destination(in_flight_max=1), always(Outcome(K.GONE, "404 no_service")))
    for one in deliveries(300, 300):
        simulation.offer(one)
    for number in range(300, 320):
        simulation.offer(delivery(f"b{number}", number), NOW_MS + 2 * MINUTE)
    simulation.run(NOW_MS + 4 * MINUTE)
    assert len(simulation.attempts) == 1
    assert len(simulation.settled) == 320
    assert {settled.verdict.reason for settled in simulation.settled.values()} == {Reason.DESTINATION_GONE}


def test_an_ambiguous_end_is_tried_again_for_a_repeat_is_better_than_a_loss() -> None:
    answers = iter([(Outcome(K.AMBIGUOUS, "timed_out"), 10)])
    simulation = Simulation(destination(), lambda *_: next(answers, (ok(), 10)))
    simulation.offer(delivery())
    simulation.run(NOW_MS + MINUTE)
    assert [attempt.delivery.delivery_id for attempt in simulation.attempts] == [delivery().delivery_id] * 2
    [(_, done)] = simulation.delivered
    assert done.attempts == 2


@pytest.mark.parametrize("probe", [False, True])
def test_an_attempt_that_could_not_be_made_is_nobodys_failure(*, probe: bool) -> None:
    dispatch = Dispatch(destination())
    now = NOW_MS
    for one in deliveries(10, 10):
        dispatch.offer(one, now)
    if probe:
        starts = [start for _ in range(5) if (start := dispatch.next(now))]
        for start in starts:
            dispatch.concluded(start, [Outcome(K.RETRY_DESTINATION)], now)
        now += 10 * SECOND
    start = dispatch.next(now)
    assert start is not None
    assert start.probe is probe
    [settled] = dispatch.concluded(start, [Unsendable(Reason.TEMPLATE_FAILED)], now)
    assert (settled.verdict.outcome, settled.verdict.reason) == (ActionOutcome.DEAD_LETTERED, Reason.TEMPLATE_FAILED)
    following = dispatch.next(now)
    assert following is not None
    assert following.probe is probe


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(min_value=0, max_value=2**32))
def test_batches_lose_nothing_keep_each_account_in_order_and_each_has_its_own_end(seed: int) -> None:
    chance = random.Random(seed)
    calm_at = NOW_MS + HOUR

    def answer(now: int, _: Delivery) -> tuple[Outcome, int]:
        return Outcome(chance.choice(list(K)) if now < calm_at else K.OK), chance.choice([1, 50])

    simulation = Simulation(destination(in_flight_max=2), answer, batch_max=chance.randint(2, 20))
    offered = deliveries(60, 15)
    for one in offered:
        simulation.offer(one, NOW_MS + chance.randint(0, 5) * MINUTE)
    simulation.run(NOW_MS + 200 * HOUR)
    assert simulation.settled.keys() == {one.delivery_id for one in offered}
    assert simulation.dispatch.in_flight == len(simulation.dispatch.lanes) == 0


def test_a_batch_is_one_request_at_the_destinations_pace_and_a_probe_is_one_delivery() -> None:
    simulation = Simulation(
        destination(in_flight_max=1, rate_per_s=1.0), down_until(NOW_MS + MINUTE, Outcome(K.AUTH), 5), batch_max=50
    )
    for one in deliveries(101, 101):
        simulation.offer(one)
    simulation.run(NOW_MS + HOUR)
    sizes = Counter(attempt.at_ms for attempt in simulation.attempts)
    assert list(sizes.values()) == [50, 1, 50, 50]
    assert len(simulation.delivered) == 101


def test_one_answer_of_a_batch_that_is_well_says_that_the_destination_is() -> None:
    dispatch = Dispatch(destination(), batch_max=3)
    for number in range(20):
        for one in deliveries(3, 3):
            dispatch.offer(replace(one, delivery_id=f"{number}-{one.delivery_id}"), NOW_MS + number * HOUR)
        start = dispatch.next(NOW_MS + number * HOUR)
        assert start is not None
        others = [Outcome(K.RETRY_DESTINATION)] * (len(start.deliveries) - 1)
        dispatch.concluded(start, [ok(), *others], NOW_MS + number * HOUR)
    assert dispatch.breaker.state is BreakerState.CLOSED


def test_a_batch_that_is_throttled_is_one_throttle() -> None:
    dispatch = Dispatch(destination(rate_per_s=None), batch_max=20)
    for each in deliveries(20, 20):
        dispatch.offer(each, NOW_MS)
    now_ms = NOW_MS
    for seconds in (10, 20, 40):
        start = dispatch.next(now_ms)
        assert start is not None
        assert len(start.deliveries) == 20
        dispatch.concluded(start, [throttled(None, "429")] * 20, now_ms)
        assert dispatch.next(now_ms + seconds * 1_000 - 1) is None
        now_ms += seconds * 1_000


def test_where_the_newest_state_wins_what_waits_is_told_once_and_as_it_is_by_then() -> None:
    simulation = Simulation(destination(), down_until(NOW_MS + HOUR, Outcome(K.RETRY_DESTINATION)), latest_wins=True)
    offered = deliveries(300, 3)
    for number, one in enumerate(offered):
        simulation.offer(one, NOW_MS + number * SECOND)
    simulation.run(NOW_MS + 2 * HOUR)
    assert sorted(one.source.offset for _, one in simulation.delivered) == [297, 298, 299]
    assert len(simulation.outdated) == 297
    assert {one.delivery_id for one in simulation.outdated}.isdisjoint(simulation.settled)


def test_what_says_something_else_of_the_account_is_not_outdated() -> None:
    dispatch = Dispatch(destination(), latest_wins=True)
    first = delivery("a", 1)
    others = [
        replace(delivery("a", 2), template="other"), replace(delivery("a", 3), play="other"),
        replace(delivery("a", 4), news=news("a", 4, segment="champion")),
    ]  # fmt: skip
    for one in [first, *others]:
        assert dispatch.offer(one, NOW_MS) is None
    assert dispatch.offer(delivery("a", 5), NOW_MS) == first


def test_a_newer_state_does_not_jump_the_wait_of_the_one_it_replaces() -> None:
    dispatch = Dispatch(destination(), latest_wins=True)
    dispatch.offer(delivery("a", 1), NOW_MS)
    start = dispatch.next(NOW_MS)
    assert start is not None
    dispatch.concluded(start, [Outcome(K.RETRY_RECORD)], NOW_MS)
    assert dispatch.offer(delivery("a", 2), NOW_MS) is not None
    assert dispatch.next(NOW_MS + 3_000) is None
    assert dispatch.next(NOW_MS + 7_000) is not None


def test_what_is_held_does_not_start_and_goes_on_in_order_when_it_may() -> None:
    dispatch = Dispatch(destination())
    for number, one in enumerate(deliveries(6, 3)):
        dispatch.offer(replace(one, order=number), NOW_MS)
    dispatch.lanes.hold_after(1)
    told = []
    for _ in range(2):
        while start := dispatch.next(NOW_MS):
            told.append(start.deliveries[0].order)
            dispatch.concluded(start, [ok()], NOW_MS)
        dispatch.lanes.hold_after(None)
    assert told[:2] == [0, 1]
    assert sorted(told) == [0, 1, 2, 3, 4, 5]
    assert [order % 3 for order in told].count(2) == 2
    assert told.index(2) < told.index(5)


def test_everything_is_held_by_a_pause_and_its_time_still_ends() -> None:
    dispatch = Dispatch(destination(give_up_h=1))
    dispatch.lanes.hold_after(-1)
    dispatch.offer(delivery("a", 1), NOW_MS)
    assert dispatch.next(NOW_MS) is None
    assert [one.verdict.reason for one in dispatch.overdue(NOW_MS + HOUR + 2 * SECOND)] == [Reason.EXPIRED]


def test_how_long_a_destination_asked_us_to_wait_is_counted_once() -> None:
    dispatch = Dispatch(destination())
    for one in deliveries(2, 2):
        dispatch.offer(one, NOW_MS)
    starts = [start for _ in range(2) if (start := dispatch.next(NOW_MS))]
    for start, after_s in zip(starts, (30, 40), strict=True):
        dispatch.concluded(start, [throttled(after_s, "429")], NOW_MS)
    assert dispatch.throttled_ms == 40 * SECOND
