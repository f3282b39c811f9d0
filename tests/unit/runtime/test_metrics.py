import asyncio
import json
import logging

import aiohttp
import pytest
from prometheus_client.exposition import generate_latest

from streams.engine.apply import Noted
from streams.intake.identity import Via
from streams.metric_registry import Metrics
from streams.runtime.export import Exporter
from streams.runtime.failure import FailReason, FailStop
from streams.runtime.flush import FlushNote
from streams.runtime.health import health_server, readiness
from streams.runtime.partition import Partition, Standing
from tests.unit.runtime.fakes import FakeStage, FakeWriter, batch_of
from tests.unit.runtime.world import World


def shown(metrics: Metrics) -> dict[str, float]:
    lines = generate_latest(metrics.registry).decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def test_every_word_is_there_from_the_start_with_zero() -> None:
    values = shown(Metrics("intake", {"topic": ("account.events.v1",)}))
    assert values['pegel_rejected_total{reason="not_json",stage="intake"}'] == 0
    assert values['pegel_freshness_seconds_count{stage="intake"}'] == 0
    assert values['pegel_outputs_total{stage="intake",topic="account.events.v1"}'] == 0
    assert values['pegel_ready{stage="intake"}'] == 0


@pytest.mark.parametrize(
    "name",
    ["nonsense", "rejected", "rejected:nonsense", "late:word", "rejected:not_json:x", "records", "members:trial"],
)
def test_an_undeclared_count_is_refused(name: str) -> None:
    with pytest.raises(KeyError):
        Metrics("engagement").count(name, 1)


def partition_with(counts: dict[str, int], gauges: dict[str, int] | None = None) -> Partition:
    stage = FakeStage()
    stage.counts, stage.gauges = counts, gauges or {}
    return Partition(0, stage, FakeWriter())


async def test_growth_is_exported_and_levels_are_summed(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics("engagement")
    exporter = Exporter(metrics)
    world = World()
    await world.assign(0, 1)
    world.stages[0].counts, world.stages[0].gauges = {"duplicates": 2}, {"state_rows": 5}
    world.stages[1].counts, world.stages[1].gauges = {"transitions:trial:entered": 1}, {"state_rows": 7}
    world.apply(0, 1, 2, 3)
    exporter.export(world.assignment)
    world.stages[0].counts = {"duplicates": 6}
    exporter.export(world.assignment)
    values = shown(metrics)
    assert values['pegel_duplicates_total{stage="engagement"}'] == 6
    assert values['pegel_transitions_total{direction="entered",segment="trial",stage="engagement"}'] == 1
    assert values['pegel_state_rows{stage="engagement"}'] == 12
    assert values['pegel_records_total{stage="engagement"}'] == 3
    assert values['pegel_partitions{stage="engagement"}'] == 2
    assert caplog.records == [] or all(one.levelno < logging.ERROR for one in caplog.records)
    await world.assignment.close()


async def test_what_a_dropped_partition_counted_last_is_exported_and_its_lag_goes() -> None:
    metrics = Metrics("intake")
    exporter = Exporter(metrics)
    world = World()
    await world.assign(0, 1)
    world.stages[0].counts = {"rejected:not_json": 3}
    partition = world.assignment.get(0)
    assert partition is not None
    exporter.export(world.assignment)
    assert [name for name in shown(metrics) if name.startswith("pegel_lag_records")] == [
        'pegel_lag_records{partition="0",stage="intake"}',
        'pegel_lag_records{partition="1",stage="intake"}',
    ]
    world.stages[0].counts = {"rejected:not_json": 5}
    exporter.note_dropped(partition)
    await world.assignment.retain({1})
    exporter.export(world.assignment)
    values = shown(metrics)
    assert values['pegel_rejected_total{reason="not_json",stage="intake"}'] == 5
    assert [name for name in values if name.startswith("pegel_lag_records")] == [
        'pegel_lag_records{partition="1",stage="intake"}'
    ]
    await world.assignment.close()


def test_an_undeclared_count_is_said_once_and_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    exporter = Exporter(Metrics("intake"))
    for total in (1, 2):
        exporter.note_dropped(partition_with({"made_up": total, "duplicates": 1}))
    assert len([one for one in caplog.records if "made_up" in one.getMessage()]) == 1


def test_a_flush_is_noted() -> None:
    metrics = Metrics("intake", {"topic": ("out",)})
    Exporter(metrics).note_flush(FlushNote(0.02, 2, {"out": 5}))
    values = shown(metrics)
    assert values['pegel_outputs_total{stage="intake",topic="out"}'] == 5
    assert values['pegel_changelog_rows_total{stage="intake"}'] == 2
    assert values['pegel_flush_duration_seconds_count{stage="intake"}'] == 1
    assert values['pegel_flush_records_sum{stage="intake"}'] == 7


def test_every_word_that_a_stage_counts_by_is_declared() -> None:
    metrics = Metrics("all")
    for noted in Noted:
        metrics.count(noted.value, 1)
    for via in Via:
        metrics.count(f"accounts_resolved:{via}", 1)


async def test_readiness_tells_what_each_partition_does() -> None:
    world = World()
    assert readiness("toy", world.assignment, world.failure)[0] is False
    await world.assign(0)
    partition = world.assignment.get(0)
    assert partition is not None
    partition.take(batch_of(partition, 0))
    partition.observe(Standing(0, 1, 4, 1))
    ready, content = readiness("toy", world.assignment, world.failure)
    assert ready
    assert content["partitions"] == [{"partition": 0, "state": "ready", "next_offset": 1, "lag": 3}]
    await world.assignment.suspend()
    ready, content = readiness("toy", world.assignment, world.failure)
    assert not ready
    assert content["rebalancing"] is True
    await world.assignment.close()


async def test_a_failed_worker_is_neither_alive_nor_ready() -> None:
    world, metrics, failure = World(), Metrics("toy"), FailStop()
    await world.assign()
    async with (
        health_server("127.0.0.1", 0, metrics, world.assignment, failure) as address,
        aiohttp.ClientSession() as session,
    ):
        before = [(await session.get(f"{address}{page}")).status for page in ("/livez", "/readyz", "/metrics")]
        failure.fail(FailReason.STAGE, ValueError())
        after = [(await session.get(f"{address}{page}")).status for page in ("/livez", "/readyz", "/metrics")]
        told = json.loads(await (await session.get(f"{address}/readyz")).text())
    assert before == [200, 200, 200]
    assert after == [503, 503, 200]
    assert told["failed"] == "stage"
    await asyncio.sleep(0)
