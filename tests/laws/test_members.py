"""Laws of what a partition counts about itself: restarts, slices, new catalogs and erasures included, it is exact."""

from unittest.mock import patch

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.engagement import rows, stage
from tests.laws.test_engagement_log import Step, play, steps
from tests.unit.engagement.log import World

restarts = st.sets(st.integers(0, 39), max_size=6)
slices = st.one_of(st.none(), st.lists(st.integers(0, 3), min_size=1, max_size=4).filter(any))


def require_exact(world: World) -> None:
    for number, one in enumerate(world.stages):
        shown = {name.partition(":")[2]: n for name, n in one.gauges.items() if name.startswith("members:")}
        assert {segment: n for segment, n in shown.items() if n} == one._engine.count_members()
        accounts = [row for key, row in world.rows[number].items() if key.startswith(rows.ACCOUNT) and row is not None]
        assert one.gauges["state_rows"] == len(accounts)
        assert one.gauges["state_bytes"] == sum(map(len, accounts))


@settings(max_examples=150)
@given(steps, restarts, slices)
def test_members_and_size_are_those_of_the_accounts(
    given_steps: list[Step], lost: set[int], by: list[int] | None
) -> None:
    with patch.object(stage, "SLICE_ACCOUNTS", 1):
        world = play(given_steps, lost, by)
    require_exact(world)
    for number in range(len(world.stages)):
        world.restart(number)
    require_exact(world)


@settings(max_examples=50)
@given(steps, restarts)
def test_what_is_stored_is_what_counting_the_stored_accounts_gives(given_steps: list[Step], lost: set[int]) -> None:
    world = play(given_steps, lost)
    for number, stored in enumerate(world.rows):
        value = stored[rows.PARTITION]
        assert value is not None
        row = msgspec.msgpack.decode(value, type=rows.PartitionRow)
        stored[rows.PARTITION] = msgspec.msgpack.encode(msgspec.structs.replace(row, members=None))
        world.restart(number)
        assert dict(sorted(world.stages[number]._records.members.counts().items())) == row.members
