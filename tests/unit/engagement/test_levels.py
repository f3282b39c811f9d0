"""Laws of what a partition shows of itself: members, time, size, and how fresh its transitions are."""

import json
from dataclasses import replace

import msgspec

from schemas.catalog import Catalog
from streams.engagement import rows
from streams.engine.program import compile_catalog
from streams.limits import OVERDUE_COUNTED_MAX
from streams.metric_registry import Metrics
from tests.unit.engagement.log import CATALOG, DAY, START, TOPICS, World, config

HERE = {"id": "here", "when": 'count("*", days=28) >= 1'}
OTHER = {**CATALOG, "name": "other: one", "segments": [HERE, CATALOG["segments"][0]]}


def members(world: World, number: int = 0) -> dict[str, float]:
    shown = world.stages[number].gauges
    return {name.partition(":")[2]: level for name, level in shown.items() if name.startswith("members:")}


def busy(world: World, account: str, at: int) -> None:
    for number in range(3):
        world.publish(account, f"{account}-{number}", at + number)
    world.run(at + 3)


def test_members_follow_transitions_and_an_empty_segment_has_none() -> None:
    world = World(config())
    world.run(START)
    assert members(world) == {"fresh": 0, "busy": 0}
    busy(world, "acme", START)
    world.publish("zeta", "z", START)
    world.run(START + 10)
    assert members(world) == {"fresh": 2, "busy": 1}
    world.run(START + 5 * DAY)
    assert members(world) == {"fresh": 0, "busy": 1}


def test_an_erased_account_is_no_member_of_anything() -> None:
    world = World(config())
    busy(world, "acme", START)
    busy(world, "zeta", START + 10)
    world.publish_control("erase", {"account_id": "acme"}, START + 20)
    world.run(START + 20)
    assert members(world) == {"fresh": 1, "busy": 1}
    world.restart()
    assert members(world) == {"fresh": 1, "busy": 1}


def test_an_account_that_is_erased_with_a_deadline_due_is_counted_out_once() -> None:
    world = World(config())
    busy(world, "acme", START)
    world.publish_control("clock", {"at": "2026-03-21T00:00:00.000Z"}, START + 20 * DAY)
    world.publish_control("erase", {"account_id": "acme"}, START + 20 * DAY)
    world.run(START + 20 * DAY)
    assert members(world) == {"fresh": 0, "busy": 0}
    assert [told[1:3] for told in world.told()[-2:]] == [("fresh", "exited"), ("busy", "exited")]


def test_a_new_catalog_counts_by_its_own_segments() -> None:
    world = World(config())
    busy(world, "acme", START)
    program = compile_catalog(Catalog.model_validate(OTHER))
    world.publish_control("catalog", {"version": program.version, "content": program.content}, START + DAY)
    world.stages[0].apply(world.logs[0][world.applied[0] :])
    world.applied[0] = len(world.logs[0])
    assert members(world) == {"here": 0, "fresh": 1, "busy": 1}, "nobody has been brought through yet"
    world.run(START + DAY + 1)
    assert members(world) == {"here": 1, "fresh": 1}
    assert world.stages[0].gauges[f"catalog_info:{program.version}:other: one"] == 1


def test_members_are_the_same_after_a_restart_and_where_nobody_had_counted() -> None:
    world = World(config())
    busy(world, "acme", START)
    before = members(world)
    world.restart()
    assert members(world) == before
    row = msgspec.msgpack.decode(world.rows[0][rows.PARTITION] or b"", type=rows.PartitionRow)
    assert row.members == {"busy": 1, "fresh": 1}
    world.rows[0][rows.PARTITION] = msgspec.msgpack.encode(msgspec.structs.replace(row, members=None))
    world.restart()
    assert members(world) == before
    world.publish("acme", "later", START + DAY)
    world.run(START + DAY)
    assert members(world) == {"fresh": 1, "busy": 1}


def test_a_row_of_before_members_were_counted_can_be_read_and_is_counted_once() -> None:
    world = World(config())
    busy(world, "acme", START)
    stored = msgspec.msgpack.decode(world.rows[0][rows.PARTITION] or b"")
    world.rows[0][rows.PARTITION] = msgspec.msgpack.encode(stored[:10])
    world.restart()
    assert members(world) == {"fresh": 1, "busy": 1}


def test_state_is_as_large_as_its_rows() -> None:
    world = World(config())
    busy(world, "acme", START)
    world.publish("zeta", "z", START)
    world.run(START + 10)
    for _ in range(2):
        stored = [row for key, row in world.rows[0].items() if key.startswith(rows.ACCOUNT) and row]
        assert world.stages[0].gauges["state_bytes"] == sum(map(len, stored))
        assert world.stages[0].gauges["state_rows"] == len(stored) == 2
        world.restart()
    world.publish_control("erase", {"account_id": "acme"}, START + 20)
    world.run(START + 20)
    assert world.stages[0].gauges["state_bytes"] == len(world.rows[0][rows.ACCOUNT + b"zeta"] or b"")


def test_a_deadline_is_overdue_from_its_grace_on_until_it_has_fired() -> None:
    world = World(config())
    world.publish("acme", "m1", START)
    world.publish("zeta", "m2", START)
    world.run(START)
    stage, due = world.stages[0], START + 4 * DAY + 60_000
    stage.on_tick(due - 1, caught_up=False)
    assert [stage.gauges[name] for name in ("overdue_deadlines", "overdue_seconds", "pending_deadlines")] == [0, 0, 2]
    stage.on_tick(due + 2_500, caught_up=False)
    assert [stage.gauges[name] for name in ("overdue_deadlines", "overdue_seconds")] == [2, 2.5]
    world.run(due + 2_500)
    assert [stage.gauges[name] for name in ("overdue_deadlines", "overdue_seconds")] == [0, 0]


def test_a_deadline_that_events_have_moved_is_not_overdue() -> None:
    world = World(config())
    busy(world, "acme", START)
    world.run(START + 5 * DAY)  # fresh has ended; busy would end on the 8th
    for day in (6, 7):
        for number in range(3):
            world.publish("acme", f"d{day}-{number}", START + day * DAY)
    world.run(START + 7 * DAY)
    stage = world.stages[0]
    stage.on_tick(START + 9 * DAY, caught_up=False)
    assert stage.gauges["overdue_deadlines"] == 0


def test_a_deadline_that_came_nearer_is_overdue_once() -> None:
    world = World(config())
    world.publish("acme", "m1", START)
    world.run(START)
    stage = world.stages[0]
    stage._engine._deadlines.set("acme", START + 3 * DAY)  # as a record does after which something ends sooner
    stage.on_tick(START + 10 * DAY, caught_up=False)
    assert stage.gauges["overdue_deadlines"] == 1


def test_only_so_many_overdue_deadlines_are_looked_at() -> None:
    world = World(config())
    for number in range(OVERDUE_COUNTED_MAX + 50):
        world.publish(f"a{number}", "m", START)
    world.run(START)
    world.stages[0].on_tick(START + 10 * DAY, caught_up=False)
    assert world.stages[0].gauges["overdue_deadlines"] == OVERDUE_COUNTED_MAX


def test_where_nobody_fires_deadlines_by_the_clock_none_is_overdue() -> None:
    off = World(config(clock="off"))
    off.publish("acme", "m1", START)
    off.run(START)
    off.stages[0].on_tick(START + 10 * DAY, caught_up=False)
    assert off.stages[0].gauges["overdue_deadlines"] == 0
    log = World(config(clock="log"))
    log.publish("acme", "m1", START)
    log.run(START + 10 * DAY)
    assert log.stages[0].gauges["overdue_deadlines"] == 0, "the log has not come that far"


def test_while_history_is_published_the_wall_clock_calls_nothing_overdue() -> None:
    world = World(config(hold_ms=30_000))
    now = START + 100 * DAY
    world.run(now)
    world.publish("acme", "m1", START)
    world.stages[0].apply(world.logs[0][world.applied[0] :])
    world.applied[0] = len(world.logs[0])
    world.stages[0].on_tick(now, caught_up=False)
    assert world.stages[0].gauges["overdue_deadlines"] == 0
    assert world.stages[0].gauges["watermark_delay_seconds"] == 100 * DAY / 1000, "that far event time is behind"
    world.stages[0].on_tick(now + 30_000, caught_up=False)
    assert world.stages[0].gauges["overdue_deadlines"] == 1


def test_event_time_is_late_only_while_something_waits_for_it() -> None:
    world = World(config())
    world.publish("acme", "m1", START)
    world.run(START)
    stage = world.stages[0]
    stage.on_tick(START + 90_000, caught_up=True)
    assert stage.gauges["watermark_delay_seconds"] == 0, "quiet, not late"
    stage.on_tick(START + 90_000, caught_up=False)
    assert stage.gauges["watermark_delay_seconds"] == 90


def test_a_transition_is_as_fresh_as_the_record_that_led_to_it() -> None:
    world = World(config())
    world.run(START)
    stage = world.stages[0]
    for number in range(3):
        world.publish("acme", f"m{number}", START + number * 1_000)
    stage.apply(world.logs[0][world.applied[0] :])
    drained = stage.drain()
    told = [json.loads(one.value or b"") for one in drained.outputs if one.topic == TOPICS.transitions]
    assert drained.fresh == [(START, told[0]["transition_id"]), (START + 2_000, told[1]["transition_id"])]
    assert stage.drain().fresh == []


def test_a_record_that_arrived_out_of_order_is_as_old_as_it_is() -> None:
    world = World(config())
    world.publish("acme", "m1", START + 60_000)
    world.append(0, "acme", world.logs[0][0].value, START + 60_000)  # the same again: a duplicate
    world.run(START + 60_000)
    world.publish("acme", "m2", START + 1_000)
    world.publish("acme", "m3", START + 2_000)
    world.stages[0].apply(world.logs[0][world.applied[0] :])
    assert [at for at, _ in world.stages[0].drain().fresh or ()] == [START + 2_000]


def test_what_no_event_led_to_is_not_in_freshness() -> None:
    world = World(config())
    busy(world, "acme", START)
    world.publish_control("clock", {"at": "2026-03-21T00:00:00.000Z"}, START + 20 * DAY)
    stage = world.stages[0]
    stage.apply(world.logs[0][world.applied[0] :])
    while stage.work_off():
        pass
    drained = stage.drain()
    assert [one.topic for one in drained.outputs if one.topic == TOPICS.transitions]
    assert drained.fresh == []


def test_every_level_and_count_is_a_declared_metric() -> None:
    world = World(replace(config(), partitions=1))
    busy(world, "acme", START)
    world.publish_control("erase", {"user_id": "u1"}, START + 20)
    world.run(START + 20)
    metrics = Metrics("engagement")
    assert metrics.set_stage_levels([world.stages[0].gauges]) == []
    for name, total in world.stages[0].counts.items():
        metrics.count(name, total)


def test_every_way_in_and_out_of_every_segment_is_there_from_the_start() -> None:
    world = World(config())
    counts = world.stages[0].counts
    assert {name for name in counts if name.startswith("transitions:")} == {
        f"transitions:{segment}:{way}" for segment in ("fresh", "busy") for way in ("entered", "exited", "moved")
    }
