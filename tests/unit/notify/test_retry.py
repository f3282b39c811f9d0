"""What follows from an outcome."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.action import ActionOutcome, Reason
from streams.connectors.outcome import Outcome, OutcomeKind, Scope, ok, throttled
from streams.notify.plan.retry import BACKOFF_S, Circumstances, Holds, backoff_ms, verdict
from tests.unit.notify.world import NOW_MS, delivery

GIVEN = Circumstances(give_up_h=72)
HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    ("kind", "outcome", "reason", "holds"),
    [
        (OutcomeKind.OK, ActionOutcome.DELIVERED, Reason.DELIVERED, Holds.NOTHING),
        (OutcomeKind.REJECTED, ActionOutcome.DEAD_LETTERED, Reason.REJECTED, Holds.NOTHING),
        (OutcomeKind.GONE, ActionOutcome.DEAD_LETTERED, Reason.DESTINATION_GONE, Holds.NOTHING),
        (OutcomeKind.THROTTLED, ActionOutcome.RETRYING, Reason.THROTTLED, Holds.DESTINATION),
        (OutcomeKind.RETRY_DESTINATION, ActionOutcome.RETRYING, Reason.RETRY_DESTINATION, Holds.LANE),
        (OutcomeKind.RETRY_RECORD, ActionOutcome.RETRYING, Reason.RETRY_RECORD, Holds.LANE),
        (OutcomeKind.AUTH, ActionOutcome.RETRYING, Reason.RETRY_AUTH, Holds.LANE),
        (OutcomeKind.AMBIGUOUS, ActionOutcome.RETRYING, Reason.RETRY_AMBIGUOUS, Holds.LANE),
    ],
)
def test_every_kind_of_outcome_has_its_verdict(
    kind: OutcomeKind, outcome: ActionOutcome, reason: Reason, holds: Holds
) -> None:
    found = verdict(delivery(), Outcome(kind), NOW_MS, GIVEN)
    assert (found.outcome, found.reason, found.holds) == (outcome, reason, holds)
    assert found.final == (outcome is not ActionOutcome.RETRYING)


def test_every_kind_is_in_the_table_above() -> None:
    for kind in OutcomeKind:
        assert verdict(delivery(), Outcome(kind), NOW_MS, GIVEN).reason in Reason


@pytest.mark.parametrize(
    ("strikes", "seconds"), list(enumerate([5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800]))
)
def test_each_failure_waits_longer_within_a_fifth(strikes: int, seconds: int) -> None:
    found = verdict(delivery(strikes=strikes), Outcome(OutcomeKind.RETRY_RECORD), NOW_MS, GIVEN)
    assert 0.8 * seconds <= (found.not_before_ms - NOW_MS) / 1_000 <= 1.2 * seconds
    assert (found.attempts, found.strikes) == (1, strikes + 1)


@settings(deadline=None)
@given(st.uuids().map(str), st.integers(min_value=1, max_value=100))
def test_the_jitter_is_a_function_of_delivery_and_failures(name: str, strikes: int) -> None:
    base_ms = BACKOFF_S[min(strikes, len(BACKOFF_S)) - 1] * 1_000
    assert backoff_ms(name, strikes) == backoff_ms(name, strikes)
    assert 0.8 * base_ms <= backoff_ms(name, strikes) <= 1.2 * base_ms


def test_deliveries_that_failed_together_do_not_come_back_together() -> None:
    waits = {backoff_ms(delivery(sequence=sequence).delivery_id, 1) for sequence in range(50)}
    assert len(waits) > 40
    assert max(waits) - min(waits) > 1_000


@pytest.mark.parametrize(
    ("after_s", "before", "seconds"), [(7.0, 0, 7), (None, 0, 10), (None, 2, 40), (None, 50, 300), (0, 0, 0)]
)
def test_a_throttle_waits_as_it_was_told_and_is_no_attempt(after_s: float | None, before: int, seconds: int) -> None:
    found = verdict(delivery(attempts=2, strikes=2), throttled(after_s, "429"), NOW_MS, Circumstances(72, before))
    assert (found.not_before_ms - NOW_MS, found.attempts, found.strikes) == (seconds * 1_000, 2, 2)


def test_a_throttle_of_one_account_holds_its_lane_alone() -> None:
    assert verdict(delivery(), throttled(5, "429", Scope.ACCOUNT), NOW_MS, GIVEN).holds is Holds.LANE


@pytest.mark.parametrize(
    "kind", [k for k in OutcomeKind if k not in {OutcomeKind.OK, OutcomeKind.REJECTED, OutcomeKind.GONE}]
)
def test_what_fails_for_too_long_becomes_a_dead_letter_and_not_before(kind: OutcomeKind) -> None:
    end_ms = NOW_MS + 72 * HOUR_MS
    early = verdict(delivery(strikes=9), Outcome(kind), end_ms - 1, GIVEN)
    assert early.outcome is ActionOutcome.RETRYING
    late = verdict(delivery(strikes=9), Outcome(kind), end_ms, GIVEN)
    assert (late.outcome, late.reason) == (ActionOutcome.DEAD_LETTERED, Reason.EXPIRED)


def test_the_last_attempt_is_made_just_at_the_end() -> None:
    end_ms = NOW_MS + 72 * HOUR_MS
    found = verdict(delivery(strikes=9), Outcome(OutcomeKind.RETRY_RECORD), end_ms - HOUR_MS, GIVEN)
    assert found.not_before_ms == end_ms


def test_success_at_the_very_end_is_still_success() -> None:
    assert verdict(delivery(), ok("ref"), NOW_MS + 100 * HOUR_MS, GIVEN).outcome is ActionOutcome.DELIVERED


@pytest.mark.parametrize("kind", [OutcomeKind.RETRY_DESTINATION, OutcomeKind.AMBIGUOUS, OutcomeKind.AUTH])
def test_while_the_destination_is_down_a_failure_does_not_lengthen_the_deliverys_own_wait(kind: OutcomeKind) -> None:
    found = verdict(delivery(attempts=7, strikes=3), Outcome(kind), NOW_MS, Circumstances(72, destination_down=True))
    assert (found.attempts, found.strikes, found.not_before_ms, found.holds) == (8, 3, NOW_MS, Holds.DESTINATION)


def test_a_failure_of_the_record_waits_for_itself_whatever_the_destination_does() -> None:
    given = Circumstances(72, destination_down=True)
    assert verdict(delivery(), Outcome(OutcomeKind.RETRY_RECORD), NOW_MS, given).holds is Holds.LANE
