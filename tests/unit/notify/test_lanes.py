"""Lanes: order within an account, independence between accounts."""

import pytest

from streams.notify.deliver.lanes import Lanes, Wait
from streams.notify.deliver.pace import Pace
from streams.notify.plan.delivery import Delivery
from tests.unit.notify.world import NOW_MS, delivery


def lanes_of(*deliveries: Delivery) -> Lanes:
    lanes = Lanes()
    for one in deliveries:
        lanes.add(one, NOW_MS)
    return lanes


def name(one: Delivery | None) -> str | None:
    return None if one is None else f"{one.news.account_id}{one.source.offset}"


def test_an_account_goes_in_order_and_accounts_side_by_side() -> None:
    a1, a2, b1 = delivery("a", 1), delivery("a", 2), delivery("b", 3)
    lanes = lanes_of(a1, a2, b1)
    assert [name(lanes.take(NOW_MS)) for _ in range(3)] == ["a1", "b3", None]
    lanes.done(a1, NOW_MS)
    assert name(lanes.take(NOW_MS)) == "a2"


def test_a_parked_head_holds_back_its_own_account_alone() -> None:
    a1, a2, b1 = delivery("a", 1, not_before_ms=NOW_MS + 5), delivery("a", 2), delivery("b", 3)
    lanes = lanes_of(delivery("a", 1), a2, b1)
    lanes.take(NOW_MS)
    lanes.park(a1, Wait.RECORD, NOW_MS)
    assert [name(lanes.take(NOW_MS)) for _ in range(2)] == ["b3", None]
    assert lanes.next_ms() == NOW_MS + 5
    assert name(lanes.take(NOW_MS + 4)) is None
    assert name(lanes.take(NOW_MS + 5)) == "a1"


def test_lanes_take_turns() -> None:
    lanes = lanes_of(*(delivery(account, offset) for offset, account in enumerate("aaabbb")))
    turns = []
    for _ in range(6):
        one = lanes.take(NOW_MS)
        assert one is not None
        turns.append(one.news.account_id)
        lanes.done(one, NOW_MS)
    assert "".join(turns) == "ababab"


def test_release_lets_go_what_waits_for_that_reason() -> None:
    later = NOW_MS + 1_000_000
    a, b = delivery("a", 1, not_before_ms=later), delivery("b", 2, not_before_ms=later)
    lanes = lanes_of(delivery("a", 1), delivery("b", 2))
    for one, wait in ((a, Wait.RECORD), (b, Wait.DESTINATION)):
        lanes.take(NOW_MS)
        lanes.park(one, wait, NOW_MS)
    assert lanes.parked == 2
    lanes.release(Wait.DESTINATION)
    assert [name(lanes.take(NOW_MS)) for _ in range(2)] == ["b2", None]


def test_what_was_to_wait_before_a_restart_still_waits() -> None:
    lanes = lanes_of(delivery("a", 1, not_before_ms=NOW_MS + 9), delivery("a", 2))
    assert lanes.take(NOW_MS) is None
    assert name(lanes.take(NOW_MS + 9)) == "a1"


def test_a_destination_that_moves_away_takes_its_lanes_along() -> None:
    lanes = lanes_of(delivery("a", 1), delivery("b", 2), delivery("a", 3))
    lanes.drop()
    assert (len(lanes), lanes.take(NOW_MS)) == (0, None)


def test_what_is_hurried_does_not_wait_for_its_time_and_stays_in_its_place() -> None:
    lanes = lanes_of(delivery("a", 1, not_before_ms=NOW_MS + 9), delivery("a", 2))
    lanes.hurry(delivery("a", 2))
    assert lanes.take(NOW_MS) is None
    lanes.hurry(delivery("a", 1))
    assert name(lanes.take(NOW_MS)) == "a1"
    assert lanes.is_under_way(delivery("a", 1))
    assert not lanes.is_under_way(delivery("a", 2))


def test_what_is_hurried_goes_before_all_who_wait_for_their_turn() -> None:
    lanes = lanes_of(delivery("a", 1), delivery("b", 2), delivery("c", 3, not_before_ms=NOW_MS + 9), delivery("d", 4))
    lanes.hurry(delivery("d", 4))
    lanes.hurry(delivery("c", 3))
    assert [name(lanes.take(NOW_MS)) for _ in range(5)] == ["c3", "d4", "a1", "b2", None]


def test_what_is_hurried_at_a_held_destination_waits_on() -> None:
    lanes = lanes_of(delivery("a", 1), delivery("b", 2, not_before_ms=NOW_MS + 9))
    lanes.hold_after(-1)
    lanes.hurry(delivery("b", 2))
    assert lanes.take(NOW_MS) is None


@pytest.mark.parametrize("again", ["done", "back", "park"])
def test_a_head_under_way_is_not_sent_again_from_here_after_its_destination_left(again: str) -> None:
    a1, a2 = delivery("a", 1), delivery("a", 2)
    lanes = lanes_of(a1, a2)
    lanes.take(NOW_MS)
    lanes.drop()
    assert len(lanes) == 1
    if again == "done":
        lanes.done(a1, NOW_MS)
    elif again == "back":
        lanes.back(a1, NOW_MS)
    else:
        lanes.park(a1, Wait.RECORD, NOW_MS)
    assert (len(lanes), lanes.take(NOW_MS)) == (0, None)


@pytest.mark.parametrize("again", ["done", "back"])
def test_a_destination_that_returns_before_its_head_ended_goes_on_where_it_was(again: str) -> None:
    a1, a2 = delivery("a", 1), delivery("a", 2)
    lanes = lanes_of(a1, a2)
    lanes.take(NOW_MS)
    lanes.drop()
    for one in (a1, a2):
        lanes.add(one, NOW_MS)
    assert (len(lanes), lanes.take(NOW_MS)) == (2, None)
    if again == "done":
        lanes.done(a1, NOW_MS)
        assert name(lanes.take(NOW_MS)) == "a2"
    else:
        lanes.back(a1, NOW_MS)
        assert name(lanes.take(NOW_MS)) == "a1"


def test_one_in_the_middle_may_be_withdrawn() -> None:
    a1, a2, a3 = (delivery("a", offset) for offset in (1, 2, 3))
    lanes = lanes_of(a1, a2, a3)
    lanes.withdraw(a2, NOW_MS)
    assert [one.source.offset for one in lanes.resting()] == [1, 3]
    lanes.withdraw(a1, NOW_MS)
    assert name(lanes.take(NOW_MS)) == "a3"
    assert list(lanes.resting()) == []


def test_a_pace_of_one_a_second_lets_one_go_a_second_and_never_two() -> None:
    pace = Pace(1.0)
    sent = []
    for now in range(0, 5_000, 100):
        if now >= pace.next_ms():
            pace = pace.sent(now)
            sent.append(now)
    assert sent == [0, 1_000, 2_000, 3_000, 4_000]


def test_a_pace_of_many_lets_a_seconds_worth_go_after_a_quiet_time_and_no_more() -> None:
    pace = Pace(10.0)
    sent = []
    for now in range(10_000, 12_000, 10):
        while now >= pace.next_ms():
            pace = pace.sent(now)
            sent.append(now)
    assert sent.count(10_000) == 10
    assert len([now for now in sent if now < 11_000]) <= 20
    assert len(sent) == 10 + 19


def test_a_pause_holds_and_a_shorter_one_does_not_end_it() -> None:
    assert Pace(None).paused(500).paused(300).next_ms() == 500
    assert Pace(None).sent(100).next_ms() == 0
