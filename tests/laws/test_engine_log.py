"""Transitions are a function of the account's own records in log order, however the log is cut, mixed or stored."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.engine import codec
from streams.engine.account import MINUS_INFINITY
from streams.engine.found import Transition
from streams.engine.partition import Partition
from streams.engine.program import compile_catalog
from tests.unit.engine.building import DAY, GRACE, START
from tests.unit.engine.logs import ACCOUNTS, RULES, Sent, logs

PROGRAM = compile_catalog(RULES)
UNTIL = START + 3_000 * DAY

Story = dict[str, list[Transition]]
Entry = Sent | int  # a record, or a clock record of the partition


def by_account(transitions: Iterable[Transition]) -> Story:
    story: Story = defaultdict(list)
    for transition in transitions:
        story[transition.account_id].append(transition)
    return dict(story)


def put(entry: Entry, partition: Partition) -> None:
    if isinstance(entry, int):
        partition.advance_clock(entry)
    else:
        entry.to(partition)


def replayed(
    log: Sequence[Entry], between: Callable[[Partition, int], Partition] = lambda partition, _: partition
) -> Story:
    """The transitions of a log; `between` is called after each record and may put another partition in place."""
    partition, found = Partition(PROGRAM), list[Transition]()
    for place, entry in enumerate(log):
        put(entry, partition)
        following = between(partition, place)
        if following is not partition:
            found += partition.take_transitions()
            partition = following
    partition.advance_to(UNTIL)
    return by_account(found + partition.take_transitions())


def restarted(partition: Partition, stored: dict[str, bytes]) -> Partition:
    """What another worker makes of the changelog so far, which is brought up to date first."""
    stored.update(partition.take_changes())
    other = Partition(PROGRAM)
    for account_id, row in stored.items():
        other.restore(account_id, row)
    other.resume(partition.standing())
    return other


@st.composite
def clocked(draw: st.DrawFn) -> list[Entry]:
    """A log with clock records that are as true as those of a worker: nothing that arrives later arrived earlier."""
    entries: list[Entry] = []
    for sent in draw(logs()):
        if draw(st.integers(0, 3)) == 0:
            entries.append(sent.arrival - draw(st.sampled_from([0, 1, GRACE])))
        entries.append(sent)
    return entries


@settings(deadline=None, max_examples=40)
@given(clocked(), st.sets(st.integers(0, 60)))
def test_when_outputs_are_taken_does_not_matter(log: list[Entry], takes: set[int]) -> None:
    taken: list[Transition] = []

    def between(partition: Partition, place: int) -> Partition:
        if place in takes:
            taken.extend(partition.take_transitions())
            partition.take_reportable()
            partition.take_changes()
        return partition

    rest = replayed(log, between)
    assert by_account([*taken, *(one for found in rest.values() for one in found)]) == replayed(log)


@settings(deadline=None, max_examples=40)
@given(clocked(), st.sets(st.integers(0, 60)))
def test_restarts_do_not_matter(log: list[Entry], restarts: set[int]) -> None:
    stored: dict[str, bytes] = {}

    def between(partition: Partition, place: int) -> Partition:
        return restarted(partition, stored) if place in restarts else partition

    assert replayed(log, between) == replayed(log)


@settings(deadline=None, max_examples=40)
@given(clocked())
def test_what_is_stored_is_all_there_is(log: list[Entry]) -> None:
    """A restart after each single record, each account decoded anew every time it is touched."""
    stored: dict[str, bytes] = {}
    assert replayed(log, lambda partition, _: restarted(partition, stored)) == replayed(log)


@settings(deadline=None, max_examples=40)
@given(clocked(), st.sampled_from(ACCOUNTS))
def test_other_accounts_do_not_matter(log: list[Entry], account: str) -> None:
    alone = [entry for entry in log if isinstance(entry, int) or entry.account == account]
    assert replayed(alone).get(account) == replayed(log).get(account)


@settings(deadline=None, max_examples=40)
@given(clocked(), st.lists(st.integers(0, 3), min_size=3, max_size=3))
def test_the_number_of_partitions_does_not_matter(log: list[Entry], spread: list[int]) -> None:
    partition_of = dict(zip(ACCOUNTS, spread, strict=True))
    story: Story = {}
    for number in set(spread):
        here = [entry for entry in log if isinstance(entry, int) or partition_of[entry.account] == number]
        story |= replayed(here)
    assert story == replayed(log)


@settings(deadline=None, max_examples=60)
@given(logs(), st.data())
def test_what_is_delivered_again_within_a_day_changes_nothing(log: list[Sent], data: st.DataObject) -> None:
    """Its age is counted on the account's arrival clock; only what was taken is known."""
    again: list[Sent] = []
    partition = Partition(PROGRAM)
    taken: list[tuple[Sent, int]] = []
    arrived: dict[str, int] = {}
    for sent in log:
        again.append(sent)
        sent.to(partition)
        if sent.account in partition:
            arrived[sent.account] = max(arrived.get(sent.account, MINUS_INFINITY), sent.arrival)
            taken.append((sent, arrived[sent.account]))
        known = [one for one, at in taken if arrived[one.account] - at <= DAY]
        if known:
            repeats = data.draw(st.lists(st.sampled_from(known), max_size=3))
            later = data.draw(st.sampled_from([0, GRACE, 90 * DAY]))
            again += [sent._replace(arrival=sent.arrival + later) for sent in repeats]
    assert replayed(again) == replayed(log)


@settings(deadline=None, max_examples=40)
@given(clocked())
def test_clock_records_that_the_log_bears_out_change_nothing(log: list[Entry]) -> None:
    assert replayed([entry for entry in log if not isinstance(entry, int)]) == replayed(log)


@settings(deadline=None, max_examples=40)
@given(logs())
def test_an_account_that_took_nothing_leaves_nothing(log: list[Sent]) -> None:
    partition = Partition(PROGRAM)
    for sent in log:
        existed = sent.account in partition
        outcome = sent.to(partition)
        if not existed and sent.account not in partition:
            assert outcome == "too_late"
    assert all(codec.decode(stored).first_seen < 1 << 62 for _, stored in partition.take_changes())


# --- what a story looks like ---


@settings(deadline=None, max_examples=80)
@given(clocked())
def test_a_story_is_consistent(log: list[Entry]) -> None:
    for found in replayed(log).values():
        check_sequence(found)
        check_alternation(found)
        check_waits(found)


def check_sequence(found: list[Transition]) -> None:
    assert [one.sequence for one in found] == [*range(1, len(found) + 1)]
    assert [one.effective_at for one in found] == sorted(one.effective_at for one in found)


def check_alternation(found: list[Transition]) -> None:
    """Entered and left in turn, one member of a group at a time, and `entered_at` is when it was entered."""
    entered: dict[str, int] = {}
    for one in found:
        left = {"entered": None, "exited": one.segment, "moved": one.from_segment}[one.direction]
        if left is None:
            assert one.entered_at is None
            assert one.from_segment is None
        else:
            assert one.entered_at == entered.pop(left)
        if one.direction != "exited":
            assert one.segment not in entered
            entered[one.segment] = one.effective_at
        groups = [PROGRAM.segments[PROGRAM.bits[member]].group for member in entered]
        assert len(groups) - groups.count(None) == len({*groups} - {None}), "a group has one member"
        assert one.group == PROGRAM.segments[PROGRAM.bits[one.segment]].group


def check_waits(found: list[Transition]) -> None:
    """Nobody leaves before the dwell is over, nobody comes back before the cooldown is."""
    left: dict[str, int] = {}
    for one in found:
        away = one.from_segment if one.direction == "moved" else one.segment if one.direction == "exited" else None
        if away is not None:
            assert one.entered_at is not None
            assert one.effective_at >= one.entered_at + PROGRAM.dwell_ms[PROGRAM.bits[away]]
            left[away] = one.effective_at
        if one.direction != "exited" and one.segment in left:
            assert one.effective_at >= left[one.segment] + PROGRAM.cooldown_ms[PROGRAM.bits[one.segment]]
