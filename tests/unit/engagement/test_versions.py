"""What another version stored: read, stored anew in slices, or refused by name before anything is touched."""

import msgspec
import pytest

from streams.engagement import rows
from streams.engagement import stage as module
from streams.engagement.agent import state_version_of
from streams.engagement.stage import EngagementStage
from streams.engine import codec
from streams.errors import SettingsError
from streams.runtime.failure import FailReason, FailStop
from streams.runtime.stage import StateUnreadable
from streams.settings import EngagementSettings, Settings
from tests.unit.engagement.log import START, TOPICS, World, config

ACCOUNTS = 7


@pytest.fixture(autouse=True)
def _slices_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLICE_ACCOUNTS", 2)


def stored_in(*versions: int) -> World:
    """A partition at rest, its accounts stored in these versions in turn, and a worker that has just loaded it."""
    world = World(config())
    for number in range(ACCOUNTS):
        world.publish(f"account-{number}", f"m{number}", START)
    world.run(START)
    accounts = [key for key in world.rows[0] if key.startswith(rows.ACCOUNT)]
    for place, key in enumerate(accounts):
        row = codec.encode(codec.decode(world.rows[0][key] or b""), versions[place % len(versions)])
        world.rows[0][key] = row
    world.out.clear()
    world.restart()
    return world


def versions_of(world: World) -> set[int]:
    return {codec.version_of(row or b"") for key, row in world.rows[0].items() if key.startswith(rows.ACCOUNT)}


def restored(world: World, *more: tuple[bytes, bytes | None]) -> EngagementStage:
    stage = EngagementStage(0, world.config)
    for one in (*world.rows[0].items(), *more):
        stage.restore(*one)
    stage.restored()
    return stage


def test_accounts_of_an_older_version_are_stored_anew_in_slices_and_nobody_is_told() -> None:
    world = stored_in(1)
    stage, written = world.stages[0], []
    while stage.has_backlog():
        assert stage.work_off()
        drained = stage.drain()
        assert drained.outputs == []
        written.append([key for key, _ in drained.changes if key.startswith(rows.ACCOUNT)])
        world.rows[0].update(drained.changes)
    assert [len(some) for some in written] == [2, 2, 2, 1]
    assert versions_of(world) == {codec.VERSION}
    world.restart()
    assert not world.stages[0].has_backlog()


def test_a_worker_that_is_killed_between_slices_leaves_the_rest_to_the_next_one() -> None:
    world = stored_in(1, codec.VERSION)
    for flushed in (True, False, True):
        world.stages[0].work_off()
        if flushed:
            world.flush(0)
        world.restart()
    world.run(START)
    assert versions_of(world) == {codec.VERSION}
    assert world.out[TOPICS.transitions] == []


def test_accounts_that_events_reach_before_their_slice_are_right() -> None:
    world, twin = stored_in(1), stored_in(codec.VERSION)
    for one in (world, twin):
        for number in range(ACCOUNTS):
            one.publish(f"account-{number}", f"n{number}", START + 1_000)
            one.publish(f"account-{number}", f"m{number}", START + 1_000)  # known since before
            one.publish(f"account-{number}", f"o{number}", START + 2_000)
        one.run(START + 2_000)
    assert world.transitions() == twin.transitions()
    assert len(world.transitions()) == ACCOUNTS
    assert world.rows == twin.rows


@pytest.mark.parametrize("version", [0, codec.VERSION + 1])
def test_a_worker_that_meets_accounts_of_a_newer_version_stops_and_says_which(version: int) -> None:
    world = stored_in(codec.VERSION)
    key = rows.ACCOUNT + b"account-0"
    newer = bytes([version]) + (world.rows[0][key] or b"")[1:]
    words = f"partition 0: 1 rows .* has version {version}, this program reads {codec.OLDEST} to {codec.VERSION}"
    with pytest.raises(StateUnreadable, match=words) as found:
        restored(world, (key, newer))
    failure = FailStop()
    failure.fail(FailReason.ASSIGNMENT, found.value)
    assert failure.reason is FailReason.STATE


def test_what_a_newer_version_stored_is_no_matter_once_a_later_row_took_its_place() -> None:
    """Compaction leaves it lying about for as long as it likes, and a deployment may have gone back meanwhile."""
    world = stored_in(codec.VERSION)
    one, other = rows.ACCOUNT + b"account-0", rows.ACCOUNT + b"account-1"
    newer = bytes([codec.VERSION + 1])
    stage = restored(world, (one, newer), (other, newer), (one, world.rows[0][one]), (other, None))
    assert stage.gauges["state_rows"] == ACCOUNTS - 1
    assert not stage.has_backlog()


def test_a_worker_that_meets_rows_of_a_kind_from_the_future_stops() -> None:
    with pytest.raises(StateUnreadable, match="of a kind that this version does not know"):
        restored(stored_in(codec.VERSION), (b"z", b""))
    assert not restored(stored_in(codec.VERSION), (b"z", b""), (b"z", None)).has_backlog()


def test_a_worker_that_meets_a_catalog_from_the_future_stops() -> None:
    world = stored_in(codec.VERSION)
    row = msgspec.msgpack.decode(world.rows[0][rows.PARTITION] or b"", type=rows.PartitionRow)
    catalog = msgspec.msgpack.encode({**msgspec.msgpack.decode(row.catalog), "moods": ["good"]})
    newer = msgspec.structs.replace(row, catalog=msgspec.Raw(catalog))
    with pytest.raises(StateUnreadable, match="cannot be used by this version"):
        restored(world, (rows.PARTITION, msgspec.msgpack.encode(newer)))


def test_the_version_that_is_written_is_the_newest_unless_the_settings_name_one_that_can_be() -> None:
    def wanted(version: int | None) -> int:
        return state_version_of(Settings(engagement=EngagementSettings(state_version=version)))

    assert wanted(None) == codec.VERSION
    for version in range(codec.OLDEST_WRITTEN, codec.VERSION + 1):
        assert wanted(version) == version
    with pytest.raises(SettingsError, match=f"versions {codec.OLDEST_WRITTEN} to {codec.VERSION}, not in 99"):
        wanted(99)
