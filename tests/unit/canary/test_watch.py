"""Laws of the watch: one verdict a crossing, no second alarm from one fault, nothing remembered over a restart."""

import pytest

from schemas.timestamps import format_ms
from schemas.transition import Direction, WireTransition, WireTrigger
from streams.canary.crossing import Crossing
from streams.canary.watch import OUTCOMES, Errand, Outcome, Reason, Rhythm, Verdict, Watch
from streams.canary.ways import Side, Way

ACCOUNTS = ("pegel-canary-service-0", "pegel-canary-service-1")
CROSSING = Crossing(Way.BILLING, "watched", "v1")
RHYTHM = Rhythm(60.0, 30.0)
RUN = "cafe"


class World:
    """An engine as the canary meets it: knows on which side each account is, and numbers its transitions."""

    def __init__(self, *, repeats: bool = False, accounts: tuple[str, ...] = ACCOUNTS[:1]) -> None:
        self.watch = Watch(accounts, RHYTHM, RUN, 0.0, repeats=repeats)
        self.watch.adopt(CROSSING)
        self.sides: dict[str, Side] = {}
        self.sequences: dict[str, int] = {}

    def applied(self, errand: Errand) -> WireTransition | None:
        """What comes of an event."""
        if self.sides.get(errand.account, Side.OUT) is errand.side:
            return None
        self.sides[errand.account] = errand.side
        return self.transition(errand.account, errand.message_id, errand.side)

    def transition(
        self, account: str, message_id: str, side: Side, segment: str = "watched", version: str = "v1", step: int = 1
    ) -> WireTransition:
        self.sequences[account] = self.sequences.get(account, 0) + step
        entered = side is Side.IN
        return WireTransition(
            transition_id=f"{account}-{self.sequences[account]}",
            account_id=account,
            segment=segment,
            direction=Direction.ENTERED if entered else Direction.EXITED,
            group=None,
            from_segment=None,
            effective_at=format_ms(0),
            sequence=self.sequences[account],
            catalog_version=version,
            evidence={},
            trigger=WireTrigger(message_id=message_id, type="track"),
            entered_at=None if entered else format_ms(0),
            dwell_seconds=None if entered else 0.0,
            forecast=None,
            emitted_at=None,
        )

    def crossed(self, now_s: float, seconds: float = 0.1) -> list[Verdict]:
        """Publish what is due, and let all that comes of it be seen."""
        found = []
        for errand in list(self.watch.due(now_s)):
            transition = self.applied(errand)
            if transition is not None and (verdict := self.watch.take(transition, now_s + seconds)) is not None:
                found.append(verdict)
        return found


def test_an_account_crosses_in_and_out_in_turn_and_each_crossing_is_seen_once() -> None:
    world = World()
    outcomes = [world.crossed(60.0 * number) for number in range(6)]
    assert [[one.reason for one in found] for found in outcomes] == [[Reason.AS_EXPECTED]] * 6
    assert outcomes[0][0].seconds == pytest.approx(0.1)
    assert world.sequences[ACCOUNTS[0]] == 6


@pytest.mark.parametrize("side", Side)
def test_a_start_needs_not_know_on_which_side_the_account_was_left(side: Side) -> None:
    world = World()
    world.sides[ACCOUNTS[0]] = side
    world.sequences[ACCOUNTS[0]] = 41
    assert [one.outcome for one in world.crossed(0.0)] == [Outcome.SEEN]
    assert [one.outcome for one in world.crossed(60.0)] == [Outcome.SEEN]


def test_a_crossing_that_is_not_visible_in_time_is_missed_and_the_next_one_is_not_its_echo() -> None:
    for arrives in (True, False):
        world = World()
        world.crossed(0.0)
        (lost,) = world.watch.due(60.0)
        late = world.applied(lost) if arrives else None
        assert list(world.watch.expired(89.9)) == []
        assert [one.outcome for one in world.watch.expired(90.0)] == [Outcome.MISSED]
        assert list(world.watch.expired(91.0)) == []
        if late is not None:
            assert world.watch.take(late, 95.0) is None
        assert [one.outcome for one in world.crossed(120.0)] == [Outcome.SEEN]
        assert [one.outcome for one in world.crossed(180.0)] == [Outcome.SEEN]


def test_what_was_due_while_a_crossing_was_waited_for_is_not_made_up_for() -> None:
    world = World()
    list(world.watch.due(0.0))
    assert list(world.watch.due(29.0)) == []
    assert len(list(world.watch.expired(200.0))) == 1
    assert list(world.watch.due(239.9)) == []
    assert len(list(world.watch.due(240.0))) == 2


def test_accounts_are_spread_over_the_interval_and_one_that_stands_still_holds_up_no_other() -> None:
    world = World(accounts=ACCOUNTS)
    assert {one.partition for one in world.watch.due(0.0)} == {0}
    assert {one.partition for one in world.watch.due(30.0)} == {1}
    verdicts = list(world.watch.expired(60.0))
    assert [(one.partition, one.outcome) for one in verdicts] == [(0, Outcome.MISSED), (1, Outcome.MISSED)]


def test_a_transition_in_the_other_direction_is_wrong() -> None:
    world = World()
    *_, errand = world.watch.due(0.0)
    verdict = world.watch.take(world.transition(errand.account, errand.message_id, errand.side.other), 0.1)
    assert verdict is not None
    assert verdict.reason is Reason.OTHER_DIRECTION
    assert verdict.seconds == pytest.approx(0.1)
    assert list(world.watch.expired(100.0)) == []


def test_a_number_that_is_left_out_is_wrong_even_if_no_crossing_is_open() -> None:
    world = World()
    world.crossed(0.0)
    lost = world.transition(ACCOUNTS[0], "of-somebody", Side.IN, segment="other", step=2)
    assert world.watch.take(lost, 10.0) == Verdict(0, ACCOUNTS[0], Reason.NUMBER_LEFT_OUT, None)
    assert [one.outcome for one in world.crossed(60.0)] == [Outcome.SEEN]


def test_a_transition_that_comes_twice_is_wrong_unless_the_workers_promise_no_more() -> None:
    for repeats, reason in ((False, Reason.WRITTEN_TWICE), (True, None)):
        world = World(repeats=repeats)
        errands = list(world.watch.due(0.0))
        transition = world.applied(errands[-1])
        assert transition is not None
        assert world.watch.take(transition, 0.1) is not None
        again = world.watch.take(transition, 0.2)
        assert (again and again.reason) == reason


def test_transitions_of_other_segments_accounts_and_causes_decide_nothing() -> None:
    world = World()
    *_, errand = world.watch.due(0.0)
    assert world.watch.take(world.transition("acme", errand.message_id, errand.side), 0.1) is None
    other = world.transition(errand.account, errand.message_id, errand.side, segment="other")
    assert world.watch.take(other, 0.1) is None
    deadline = world.transition(errand.account, "", errand.side)
    deadline.trigger = "deadline"
    assert world.watch.take(deadline, 0.1) is None
    right = world.transition(errand.account, errand.message_id, errand.side)
    verdict = world.watch.take(right, 0.2)
    assert verdict is not None
    assert verdict.outcome is Outcome.SEEN


def test_a_crossing_under_another_catalog_than_is_known_ends_without_a_verdict() -> None:
    world = World()
    *_, errand = world.watch.due(0.0)
    assert world.watch.take(world.transition(errand.account, errand.message_id, errand.side, version="v2"), 0.1) is None
    assert list(world.watch.expired(100.0)) == []
    assert list(world.watch.due(59.9)) == [], "not in a tight loop either"
    world.watch.adopt(Crossing(Way.TRAIT, "watched", "v2"))
    assert len(list(world.watch.due(60.0))) == 2


def test_another_catalog_lets_what_is_open_go_and_begins_anew() -> None:
    world = World()
    world.crossed(0.0)
    list(world.watch.due(60.0))
    world.watch.adopt(Crossing(Way.BILLING, "watched", "v2"))
    assert list(world.watch.expired(100.0)) == []
    assert len(list(world.watch.due(100.0))) == 2


def test_without_anything_to_cross_nothing_is_published() -> None:
    watch = Watch(ACCOUNTS, RHYTHM, RUN, 0.0, repeats=False)
    assert list(watch.due(1_000.0)) == []
    watch.adopt(CROSSING)
    watch.adopt(None)
    assert list(watch.due(1_000.0)) == []


def test_a_second_canary_of_the_same_name_is_told_from_what_an_earlier_run_left() -> None:
    world = World()
    stranger = world.transition(ACCOUNTS[0], "pegel-canary-beef-7", Side.IN)
    assert world.watch.take(stranger, 1.0) is None
    stranger = world.transition(ACCOUNTS[0], "pegel-canary-beef-8", Side.OUT)
    assert world.watch.take(stranger, 31.0) == Verdict(0, ACCOUNTS[0], Reason.RIVAL, None)


def test_message_ids_never_come_again_and_say_whose_they_are() -> None:
    world = World(accounts=ACCOUNTS)
    ids: list[str] = []
    for second in range(0, 6_000, 30):
        list(world.watch.expired(float(second)))
        ids += [one.message_id for one in world.watch.due(float(second))]
    assert len(ids) == len(set(ids)) > 100
    assert all(one.startswith("pegel-canary-cafe-") for one in ids)


def test_every_reason_has_an_outcome() -> None:
    assert set(OUTCOMES) == set(Reason)
    assert set(OUTCOMES.values()) == set(Outcome)
