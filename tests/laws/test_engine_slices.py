"""What concerns all accounts reaches them in slices: however it is cut, and wherever a restart falls, it does not show.

The synchronous form - each clock, thresholds or catalog record brought to every account at once - is the reference.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle
from operator import methodcaller
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.catalog import Catalog
from schemas.dead_letter import Rejected
from schemas.wire import decode_event
from streams.engagement.rows import PendingRow
from streams.engagement.standing import operations_of, row_of, stored_program
from streams.engine.account import fields_of
from streams.engine.found import Transition
from streams.engine.operations import Basis
from streams.engine.partition import OPERATIONS_PENDING_MAX, Partition, Standing
from streams.engine.population import Thresholds
from streams.engine.program import Program, compile_catalog
from streams.engine.record import file_arrival
from streams.intake.identity import Identity
from tests.model.scenarios import scenarios
from tests.unit.engine.building import DAY, GRACE, START, event_of
from tests.unit.engine.logs import ACCOUNTS, RULES, logs

RANKS = ({"id": "top", "when": 'top_percent("load", 30)', "min_dwell_days": 1},
         {"id": "low", "when": 'quintile("age") <= 2 and since(signed_up_at) > 2'})  # fmt: skip
WRITTEN = RULES.model_dump(mode="json")
DEFINITIONS = {**WRITTEN["definitions"], "age": "-since(last_active_at)"}
RANKED = Catalog.model_validate({**WRITTEN, "segments": [*WRITTEN["segments"], *RANKS], "definitions": DEFINITIONS})
LEFT_OUT = {"busy", "ending", "torn", "spread", "bent", "rich", "keen"}
OTHER = RANKED.model_copy(
    update={"segments": tuple(one for one in RANKED.segments[::-1] if one.id not in LEFT_OUT), "trial_days": 3}
)
PROGRAMS = [compile_catalog(catalog) for catalog in (RANKED, OTHER, RULES)]

Step = Callable[[Partition], object]


@dataclass(frozen=True)
class Control:
    """A control record, both ways."""

    at_once: Step
    told: Step


def clock(at: int) -> Control:
    return Control(lambda one: one.advance_clock(at), lambda one: one.tell_clock(at))


def thresholds(at: int, size: float) -> Control:
    found = Thresholds(at, {name: [size * place for place in range(101)] for name in ("load", "age")})
    return Control(lambda one: one.apply_thresholds(found), lambda one: one.tell_thresholds(found))


def catalog(program: Program, at: int) -> Control:
    return Control(lambda one: one.apply_catalog(program, at), lambda one: one.tell_catalog(program, at))


def forget(user: str) -> Control:
    return Control(lambda one: one.erase_user(user), lambda one: one.tell_erased_user(user))


def in_slices(
    program: Program, steps: Iterable[Step | Control], slices: Sequence[int], restarts: set[int]
) -> tuple[Partition, list[Transition]]:
    """The steps, with slices of these sizes in turn between them, and restarts after the steps of these numbers."""
    partition, found = Partition(program), list[Transition]()
    stored: dict[str, bytes] = {}
    sizes = cycle(slices)
    for place, step in enumerate(steps):
        (step.told if isinstance(step, Control) else step)(partition)
        partition.work(next(sizes))
        if place in restarts:
            found += partition.take_transitions()
            stored.update(partition.take_changes())
            partition = restarted(partition, stored)
    return partition, found


def restarted(partition: Partition, stored: dict[str, bytes]) -> Partition:
    """What another worker makes of the rows; what is pending goes through its row."""
    standing = partition.standing()
    packed = msgspec.msgpack.encode([row_of(number, operation) for number, operation in standing.pending])
    basis = Basis(stored_program(standing.basis.program.packed), standing.basis.thresholds)
    pending = operations_of(msgspec.msgpack.decode(packed, type=list[PendingRow]), basis)
    other = Partition(PROGRAMS[0])
    for account_id, row in stored.items():
        other.restore(account_id, None if account_id in partition.erased_accounts else row)
    other.erased_accounts, other.erased_users = set(partition.erased_accounts), set(partition.erased_users)
    other.resume(Standing(standing.floor, basis, standing.number, pending))
    return other


def by_account(transitions: Iterable[Transition]) -> dict[str, list[Transition]]:
    story: dict[str, list[Transition]] = {}
    for transition in transitions:
        story.setdefault(transition.account_id, []).append(transition)
    return story


def states(partition: Partition) -> dict[str, Any]:
    """Every account, brought to the partition's clock; when an operation reached it is nobody's business."""
    found = {}
    for account_id in partition.account_ids():
        told = partition.account(account_id)
        assert told is not None
        found[account_id] = {**fields_of(told[0]), "operation": None}
    return found


def check(program: Program, steps: Sequence[Step | Control], slices: Sequence[int], restarts: set[int]) -> None:
    whole = Partition(program)
    for step in steps:
        (step.at_once if isinstance(step, Control) else step)(whole)
    sliced, found = in_slices(program, steps, slices, restarts)
    if len(steps) % 2:
        sliced.work_off()  # else the accounts are reached when they are asked for
    expected = states(whole)
    assert states(sliced) == expected
    assert by_account(found + sliced.take_transitions()) == by_account(whole.take_transitions())
    sliced.work_off()
    assert not sliced.take_transitions()
    assert not sliced.is_behind()
    assert sliced.next_deadline() <= min(
        (state["next_at"] for state in expected.values()), default=sliced.next_deadline()
    )


@st.composite
def controls(draw: st.DrawFn, at: int) -> Control:
    kind = draw(st.sampled_from(["clock", "clock", "thresholds", "catalog", "forget"]))
    if kind == "clock":
        return clock(at + draw(st.sampled_from([0, -GRACE, DAY, 40 * DAY])))
    if kind == "thresholds":
        return thresholds(at - DAY, draw(st.sampled_from([-0.1, 0.01, 0.02, 0.04])))
    if kind == "catalog":
        return catalog(draw(st.sampled_from(PROGRAMS)), at)
    return forget(draw(st.sampled_from(["u1", "u2"])))


@st.composite
def controlled(draw: st.DrawFn) -> list[Step | Control]:
    """A log with control records of all kinds; some clocks run ahead of records that come after them."""
    steps: list[Step | Control] = []
    arrival = START
    for sent in draw(logs(max_size=20)):
        arrival = sent.arrival
        steps += [draw(controls(arrival)) for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2])))]
        if draw(st.integers(0, 15)) == 0:
            steps.append(methodcaller("erase_account", draw(st.sampled_from(ACCOUNTS))))
        steps.append(sent.to)
    steps.append(clock(arrival + draw(st.sampled_from([0, 3 * DAY, 100 * DAY]))))
    return steps


slice_sizes = st.lists(st.integers(0, 3), min_size=1, max_size=7)
places = st.sets(st.integers(0, 40), max_size=12)


@settings(deadline=None, max_examples=60)
@given(controlled(), slice_sizes, places)
def test_slices_and_restarts_between_them_do_not_show(
    steps: list[Step | Control], slices: list[int], restarts: set[int]
) -> None:
    check(PROGRAMS[0], steps, slices, restarts)


@settings(deadline=None, max_examples=30)
@given(scenarios(records=(2, 20)), slice_sizes, places, st.data())
def test_slices_do_not_show_under_any_rules(
    scenario: Any, slices: list[int], restarts: set[int], data: st.DataObject
) -> None:
    program = compile_catalog(Catalog.model_validate(scenario.catalog))
    identity, steps = Identity(), list[Step | Control]()
    newest = START
    for line in scenario.lines:
        raw = line.encode()
        try:
            event = decode_event(raw)
            arrival = file_arrival(event)
            if arrival is None:
                continue
            account_id = identity.take(event)
        except Rejected:
            continue
        newest = max(newest, arrival)
        steps.append(methodcaller("apply", account_id, event, raw, arrival))
        ahead = data.draw(st.sampled_from([None, None, 0, DAY, 10 * DAY]))
        if ahead is not None:
            steps.append(clock(arrival + ahead))
    steps.append(clock(newest + 30 * DAY))
    check(program, steps, slices, restarts)


def crowd(count: int) -> tuple[Partition, int]:
    """Accounts that all have a deadline at the same moment, and that moment."""
    partition = Partition(compile_catalog(Catalog.model_validate({
        "format": 1, "name": "one", "segments": [{"id": "fresh", "when": "since(signed_up_at) < 2"}]
    })))  # fmt: skip
    event, raw = event_of({"type": "track", "event": "a"})
    for number in range(count):
        partition.apply(f"account-{number}", event, raw, START)
    partition.take_transitions()
    return partition, START + 2 * DAY


def test_a_slice_is_no_larger_than_it_was_said_to_be_and_a_kill_between_slices_loses_none() -> None:
    partition, due = crowd(10)
    stored = dict(partition.take_changes())
    partition = restarted(partition, stored)
    partition.tell_clock(due + GRACE)
    told: list[Transition] = []
    for done in range(1, 6):
        partition.work(2)
        found = partition.take_transitions()
        assert len(found) == 2
        told += found
        stored.update(partition.take_changes())
        assert not partition._live, "who was decoded for a slice alone is stored again"
        if done in (2, 4):
            partition.work(1)  # written nowhere: lost with the worker
            partition = restarted(partition, stored)
            assert partition.is_behind()
    assert not partition.work(1)
    assert not partition.is_behind()
    assert {(one.account_id, one.effective_at) for one in told} == {(f"account-{n}", due) for n in range(10)}
    assert len(told) == 10


def test_a_clock_that_concerns_nobody_leaves_nothing_to_do() -> None:
    partition, due = crowd(3)
    partition.tell_clock(due + GRACE - 1)
    assert not partition.is_behind()
    assert partition.standing().pending == ()


def test_accounts_that_a_clock_did_not_know_wait_for_the_next_one() -> None:
    """History that arrives behind a clock: its deadlines are in the past of the clock, and none of its business."""
    partition, due = crowd(2)
    partition.tell_clock(due + GRACE)
    event, raw = event_of({"type": "track", "event": "a"})
    partition.apply("late", event, raw, START)
    partition.work_off()
    assert {one.account_id for one in partition.take_transitions() if one.direction == "exited"} == {
        "account-0", "account-1",
    }  # fmt: skip
    assert partition.next_deadline() == due
    partition.advance_clock(due + GRACE + 1)
    assert [one.account_id for one in partition.take_transitions()] == ["late"]


def test_too_many_operations_at_a_time_are_worked_off_at_once() -> None:
    partition, _ = crowd(3)
    for number in range(40):
        partition.tell_erased_user(f"u{number}")
        assert len(partition.standing().pending) <= OPERATIONS_PENDING_MAX


def test_accounts_that_a_clock_did_not_know_are_brought_through_one_that_comes_before_it_is_worked_off() -> None:
    partition, due = crowd(2)
    partition.tell_clock(due + GRACE)
    event, raw = event_of({"type": "track", "event": "a"})
    partition.apply("a", event, raw, START)  # stands before the others in the heap
    partition.work(1)
    partition.tell_clock(due + GRACE + 1)
    partition.work_off()
    assert {one.account_id for one in partition.take_transitions() if one.direction == "exited"} == {
        "a", "account-0", "account-1",
    }  # fmt: skip
