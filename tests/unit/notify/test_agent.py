"""Router and courier as the runtime builds them."""

import asyncio
from pathlib import Path

import pytest

from schemas.inbox import Original, routed_headers
from streams.notify.courier import agent as courier
from streams.notify.playbooks import PlaybookError, load_playbooks
from streams.notify.router import agent as router
from streams.runtime.partitioner import partition_of
from streams.runtime.stage import StageFailure
from streams.settings import NotifySettings, Settings
from streams.topics import Topics
from tests.unit.notify.world import NOW_MS, Record, raw

SETTINGS = Settings(notify=NotifySettings(playbooks=Path("console"), max_age_h=None))
TOPICS = Topics("p.")
PARTITIONS = 6
"""Other than the settings say."""


NAME = next(iter(load_playbooks("console", {}).destinations)).encode()


async def test_a_transition_becomes_a_line_on_the_console(capsys: pytest.CaptureFixture[str]) -> None:
    spec = router.stage_spec(SETTINGS, TOPICS)
    assert (spec.name, spec.input_topic) == ("router", "p.segments.transitions.v1")
    assert spec.changelog_topic == "p.notifier.router.v1.changelog"
    assert spec.output_topics == ("p.notifier.inbox.v1", "p.segments.transitions.v1.dlq")
    stage = spec.factory(0)
    stage.restored()
    stage.apply([Record(0, raw())])
    [routed] = stage.drain().outputs
    assert routed.topic == "p.notifier.inbox.v1"
    assert routed.key is not None

    spec = courier.stage_spec(SETTINGS, TOPICS, lambda *_: PARTITIONS)
    assert (spec.name, spec.input_topic) == ("courier", "p.notifier.inbox.v1")
    assert spec.changelog_topic == "p.notify.deliveries.v1.changelog"
    assert spec.output_topics == ("p.playbook.actions.v1", "p.segments.transitions.v1.dlq")
    assert spec.lifespan is not None
    async with spec.lifespan():
        stage = spec.factory(partition_of(routed.key, PARTITIONS))
        stage.restored()
        stage.apply([Record(0, routed.value, routed.key, NOW_MS, routed.headers)])
        await asyncio.sleep(0.1)
        assert capsys.readouterr().out.startswith("2026-03-01T12:34:57.000Z\tacme\t⚠️ acme: at risk\t")
        assert {output.topic for output in stage.drain().outputs} == {"p.playbook.actions.v1"}
        stage.close()


async def test_without_playbooks_everything_is_read_and_nothing_is_told() -> None:
    spec = courier.stage_spec(Settings(), Topics(), lambda *_: PARTITIONS)
    assert spec.lifespan is not None
    async with spec.lifespan():
        for stage in (spec.factory(0), router.stage_spec(Settings(), Topics()).factory(0)):
            stage.restored()
            assert (stage.position(1), stage.dirty(), stage.saturated()) == (1, False, False)
        stage.apply([Record(0, raw())])
        assert not stage.dirty()


async def test_a_destination_is_at_work_in_one_partition_alone() -> None:
    spec = courier.stage_spec(SETTINGS, TOPICS, lambda *_: PARTITIONS)
    assert spec.lifespan is not None
    home = partition_of(NAME, PARTITIONS)
    async with spec.lifespan():
        other = spec.factory((home + 1) % PARTITIONS)
        other.restored()
        headers = routed_headers(NAME.decode(), Original(0, 1, NOW_MS, b"acme"))
        other.apply([Record(0, raw(), NAME, NOW_MS, headers)])
        [letter] = other.drain().outputs
        assert letter.topic == "p.segments.transitions.v1.dlq"
        assert ("pegel-destination", NAME) in letter.headers
        other.close()
        other = spec.factory((home + 1) % PARTITIONS)
        other.restore(b"o:" + NAME + b":", None)
        with pytest.raises(StageFailure, match="belongs no more"):
            other.restored()


def test_a_faulty_playbook_stops_the_workers_before_they_start() -> None:
    for module in (router, courier):
        with pytest.raises(PlaybookError, match="PEGEL_SLACK_WEBHOOK_URL is not set"):
            module.stage_spec(Settings(notify=NotifySettings(playbooks=Path("starter"))), Topics())
