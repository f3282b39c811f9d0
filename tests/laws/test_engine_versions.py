"""Workers of different versions take turns over one state: nobody can tell from what they decide."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.engine import codec
from streams.engine.account import fields_of
from streams.engine.found import Transition
from streams.engine.partition import Partition
from streams.engine.program import compile_catalog
from streams.rebuild.compare import NOTED_WHEN_WRITTEN
from tests.unit.engine.building import DAY, GRACE, START
from tests.unit.engine.logs import RULES, Sent, logs

PROGRAM = compile_catalog(RULES)
UNTIL = START + 3_000 * DAY
WRITTEN = range(codec.OLDEST_WRITTEN, codec.VERSION + 1)


class Turn(NamedTuple):
    """After this record another worker takes over, which writes this version and renews so many rows at once."""

    after: int
    version: int
    renews: int


turns = st.lists(
    st.builds(Turn, st.integers(0, 45), st.sampled_from(WRITTEN), st.integers(0, 4)),
    unique_by=lambda turn: turn.after, max_size=12,
)  # fmt: skip


@st.composite
def repetitive(draw: st.DrawFn) -> list[Sent | int]:
    """A log in which records come again, soon or late, and with clock records."""
    entries: list[Sent | int] = []
    sent: list[Sent] = []
    for one in draw(logs(max_size=25)):
        match draw(st.integers(0, 4)):
            case 0:
                entries.append(one.arrival - draw(st.sampled_from([0, 1, GRACE])))
            case 1 | 2 if sent:
                entries.append(draw(st.sampled_from(sent[-6:]))._replace(arrival=one.arrival))
        entries.append(one)
        sent.append(one)
    return entries


def put(entry: Sent | int, partition: Partition) -> None:
    if isinstance(entry, int):
        partition.advance_clock(entry)
    else:
        entry.to(partition)


def lived(log: Sequence[Sent | int], turns: Sequence[Turn]) -> tuple[list[Transition], dict[str, dict[str, Any]]]:
    """The transitions of a log and its accounts in the end, but for what depends on when they were stored."""
    by_place = {turn.after: turn for turn in turns}
    changelog: dict[str, bytes] = {}
    partition, found = Partition(PROGRAM), list[Transition]()
    for place, entry in enumerate(log):
        put(entry, partition)
        if (turn := by_place.get(place)) is not None:
            changelog.update(partition.take_changes())
            found += partition.take_transitions()
            standing, partition = partition.standing(), Partition(PROGRAM, turn.version)
            for account_id, row in changelog.items():
                partition.restore(account_id, row)
            partition.resume(standing)
            changelog.update(partition.renew(turn.renews))
    partition.advance_to(UNTIL)
    found += partition.take_transitions()
    return found, {one: found_account(partition, one) for one in sorted(partition.account_ids())}


def found_account(partition: Partition, account_id: str) -> dict[str, Any]:
    found = partition.account(account_id)
    assert found is not None
    return {name: value for name, value in fields_of(found[0]).items() if name not in NOTED_WHEN_WRITTEN}


@settings(deadline=None, max_examples=80)
@given(repetitive(), turns)
def test_whatever_versions_workers_wrote_they_decide_as_one_that_was_never_replaced(
    log: list[Sent | int], turns: list[Turn]
) -> None:
    found, accounts = lived(log, turns)
    wanted, wanted_accounts = lived(log, [])
    assert sorted(found, key=_order) == sorted(wanted, key=_order)
    assert accounts == wanted_accounts


def _order(transition: Transition) -> tuple[str, int]:
    return transition.account_id, transition.sequence


@settings(deadline=None, max_examples=40)
@given(logs(), st.sampled_from(WRITTEN), st.sampled_from(WRITTEN))
def test_an_account_is_the_same_through_every_version_there_and_back(log: list[Sent], there: int, back: int) -> None:
    partition = Partition(PROGRAM)
    for sent in log:
        sent.to(partition)
    for _, stored in partition.take_changes():
        account = codec.decode(stored)
        other = codec.encode(account, there)
        assert codec.version_of(other) == there
        assert codec.decode(other) == account
        assert codec.encode(codec.decode(codec.encode(codec.decode(other), back))) == stored


@settings(deadline=None, max_examples=40)
@given(logs(), st.lists(st.sampled_from(WRITTEN), min_size=3, max_size=3), st.sampled_from(WRITTEN), st.integers(1, 3))
def test_rows_of_all_versions_in_one_changelog_become_rows_of_the_one_that_is_written(
    log: list[Sent], stored_in: list[int], version: int, renews: int
) -> None:
    before = Partition(PROGRAM)
    for sent in log:
        sent.to(before)
    before.take_transitions()
    rows = dict(before.take_changes())
    mixed = {
        account_id: codec.encode(codec.decode(row), stored_in[place])
        for place, (account_id, row) in enumerate(rows.items())
    }
    after = Partition(PROGRAM, version)
    for account_id, row in mixed.items():
        after.restore(account_id, row)
    after.resume(before.standing())
    renewed: dict[str, bytes] = {}
    while after.is_outdated():
        some = after.renew(renews)
        assert 0 < len(some) <= renews
        assert not renewed.keys() & dict(some).keys(), "each once"
        renewed.update(some)
    assert renewed.keys() == {one for one, row in mixed.items() if codec.version_of(row) != version}
    assert {codec.version_of(row) for row in renewed.values()} <= {version}
    assert {one: codec.encode(codec.decode(row)) for one, row in (mixed | renewed).items()} == rows
    assert not after.has_changes(), "it is nothing that anybody is told"
