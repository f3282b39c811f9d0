"""The notifier as the runtime builds it."""

import asyncio
from pathlib import Path

import pytest

from streams.notify.agent import stage_spec
from streams.notify.playbooks import PlaybookError
from streams.settings import NotifySettings, Settings
from streams.topics import Topics
from tests.unit.notify.world import Record, raw


async def test_a_transition_becomes_a_line_on_the_console(capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(notify=NotifySettings(playbooks=Path("console"), max_age_h=None))
    spec = stage_spec(settings, Topics("p."))
    assert (spec.name, spec.input_topic) == ("notifier", "p.segments.transitions.v1")
    assert spec.changelog_topic == "p.notify.deliveries.v1.changelog"
    assert spec.output_topics == ("p.playbook.actions.v1", "p.segments.transitions.v1.dlq")
    assert spec.lifespan is not None
    async with spec.lifespan():
        stage = spec.factory(0)
        stage.restored()
        stage.apply([Record(0, raw())])
        await asyncio.sleep(0.1)
        assert capsys.readouterr().out.startswith("2026-03-01T12:34:57.000Z\tacme\t⚠️ acme: at risk\t")
        assert {output.topic for output in stage.drain().outputs} == {"p.playbook.actions.v1"}
        stage.close()


async def test_without_playbooks_everything_is_read_and_nothing_is_told() -> None:
    spec = stage_spec(Settings(), Topics())
    assert spec.lifespan is not None
    async with spec.lifespan():
        stage = spec.factory(0)
        stage.restored()
        stage.apply([Record(0, raw())])
        assert (stage.position(1), stage.dirty(), stage.saturated()) == (1, False, False)


def test_a_faulty_playbook_stops_the_worker_before_it_starts() -> None:
    with pytest.raises(PlaybookError, match="PEGEL_SLACK_WEBHOOK_URL is not set"):
        stage_spec(Settings(notify=NotifySettings(playbooks=Path("starter"))), Topics())
