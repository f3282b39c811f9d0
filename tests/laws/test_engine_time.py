"""Time is data: how it passes, in one step or many, early or late, does not show."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.timestamps import format_ms, parse_ms
from streams.engine import codec
from streams.engine.account import fields_of
from streams.engine.found import Transition
from streams.engine.partition import Partition
from streams.engine.program import compile_catalog
from streams.engine.rules.linear import NEVER
from streams.engine.transitions import evaluate
from streams.engine.working import Working
from tests.unit.engine.building import DAY, GRACE, START
from tests.unit.engine.logs import RULES, Sent, logs

PROGRAMS = {
    zone: compile_catalog(RULES.model_copy(update={"timezone": zone}))
    for zone in ("UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kolkata")
}
zones = st.sampled_from([*PROGRAMS])
steps = st.lists(st.integers(0, 60 * DAY) | st.integers(0, 120).map(lambda halves: halves * DAY // 2), max_size=15)


def filled(zone: str, log: list[Sent]) -> Partition:
    partition = Partition(PROGRAMS[zone])
    for sent in log:
        sent.to(partition)
    return partition


def sorted_story(partition: Partition) -> list[Transition]:
    return sorted(partition.take_transitions(), key=lambda one: (one.account_id, one.sequence))


def states(partition: Partition) -> dict[str, dict[str, Any]]:
    """Every changed account; how many operations it has seen is no fact about it."""
    return {
        account_id: fields_of(codec.decode(encoded)) | {"operation": None}
        for account_id, encoded in partition.take_changes()
    }


@settings(deadline=None, max_examples=40)
@given(zones, logs(), steps)
def test_many_small_steps_of_time_are_one_big_one(zone: str, log: list[Sent], moments: list[int]) -> None:
    stepwise, at_once = filled(zone, log), filled(zone, log)
    for moment in sorted(moments):
        stepwise.advance_to(log[-1].arrival + moment)
    for partition in (stepwise, at_once):
        partition.advance_to(log[-1].arrival + 1_000 * DAY)
    assert sorted_story(stepwise) == sorted_story(at_once)
    assert states(stepwise) == states(at_once)


@settings(deadline=None, max_examples=40)
@given(zones, logs(), steps)
def test_many_clock_records_are_the_last_of_them(zone: str, log: list[Sent], moments: list[int]) -> None:
    stepwise, at_once = filled(zone, log), filled(zone, log)
    end = log[-1].arrival + 1_000 * DAY
    for moment in (*sorted(moments), 1_000 * DAY):
        stepwise.advance_clock(log[-1].arrival + moment)
    at_once.advance_clock(end)
    assert sorted_story(stepwise) == sorted_story(at_once)
    assert stepwise.floor == at_once.floor == end


@settings(deadline=None, max_examples=40)
@given(zones, logs(), st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=8))
def test_nothing_changes_before_the_next_deadline(zone: str, log: list[Sent], fractions: list[float]) -> None:
    """Evaluating at any time before it finds nothing."""
    program = PROGRAMS[zone]
    partition = filled(zone, log)
    for account_id in {sent.account for sent in log if sent.account in partition}:
        for _ in range(6):
            found = partition.account(account_id)
            assert found is not None
            account, _ = found
            due = account.next_at
            end = min(due, account.now + 500 * DAY)
            moments = {account.now + int(fraction * (end - account.now)) for fraction in fractions} | {end - 1}
            for moment in sorted(moments):
                looked_at = codec.decode(codec.encode(account))
                looked_at.now = moment
                assert evaluate(account_id, looked_at, Working(program, looked_at), "deadline") == []
            if due == NEVER:
                break
            partition.advance_to(due)


@settings(deadline=None, max_examples=40)
@given(logs(), st.integers(-4_000, 4_000))
def test_a_log_that_is_some_days_later_has_a_story_that_is_some_days_later(log: list[Sent], days: int) -> None:
    shift = days * DAY
    later = filled(
        "UTC", [sent._replace(fields=shifted(sent.fields, shift), arrival=sent.arrival + shift) for sent in log]
    )
    plain = filled("UTC", log)
    plain.advance_to(log[-1].arrival + 400 * DAY)
    later.advance_to(log[-1].arrival + 400 * DAY + shift)
    assert [
        (one.account_id, one.segment, one.direction, one.sequence, one.effective_at + shift)
        for one in sorted_story(plain)
    ] == [(one.account_id, one.segment, one.direction, one.sequence, one.effective_at) for one in sorted_story(later)]


def shifted(value: Any, shift: int) -> Any:
    """Every time in a record, some days later."""
    if isinstance(value, dict):
        return {key: shifted(part, shift) for key, part in value.items()}
    at = parse_ms(value) if isinstance(value, str) else None
    return value if at is None else format_ms(at + shift)


@settings(deadline=None, max_examples=40)
@given(zones, logs())
def test_nothing_is_emitted_for_the_past(zone: str, log: list[Sent]) -> None:
    """Whatever a late record changes is dated by the account's clock, which only goes forward."""
    partition = Partition(PROGRAMS[zone])
    clocks: dict[str, int] = {}
    for sent in log:
        sent.to(partition)
        for one in partition.take_transitions():
            assert one.effective_at >= clocks.get(one.account_id, one.effective_at)
            assert one.effective_at <= sent.arrival
            clocks[one.account_id] = one.effective_at
        found = partition.account(sent.account)
        if found is not None:
            assert found[0].now >= sent.arrival - GRACE
            assert found[0].now <= found[0].arrival
            clocks[sent.account] = found[0].now


@settings(deadline=None, max_examples=40)
@given(zones, logs())
def test_deadlines_lie_ahead_and_the_queue_knows_the_first_of_them(zone: str, log: list[Sent]) -> None:
    partition = filled(zone, log)
    accounts = [found[0] for sent in log if (found := partition.account(sent.account)) is not None]
    assert all(account.next_at > account.now for account in accounts)
    assert partition.next_deadline() <= min((account.next_at for account in accounts), default=NEVER)
    partition.advance_to(START + 5_000 * DAY)
    after = [found[0] for sent in log if (found := partition.account(sent.account)) is not None]
    assert all(account.next_at > START + 5_000 * DAY for account in after)
