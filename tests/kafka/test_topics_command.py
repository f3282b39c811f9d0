"""Laws of `pegel topics` as a command, on a real broker: scripts can rely on its status and its lines."""

import json

import pytest

from streams.cli import run
from streams.settings import Settings
from streams.topics import NAMES

pytestmark = pytest.mark.kafka


@pytest.fixture
def in_environment(kafka_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("PEGEL_KAFKA__BOOTSTRAP", kafka_settings.kafka.bootstrap)
    monkeypatch.setenv("PEGEL_KAFKA__TOPIC_PREFIX", kafka_settings.kafka.topic_prefix)
    return kafka_settings


def rows(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_status_tells_whether_anything_is_left_to_do(
    in_environment: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["topics", "apply", "--dry-run"]) == 1
    assert run(["topics", "apply"]) == 0
    assert run(["topics", "apply", "--dry-run"]) == 0
    monkeypatch.setenv("PEGEL_KAFKA__PARTITIONS", "5")
    capsys.readouterr()

    assert run(["topics", "apply"]) == 1
    captured = capsys.readouterr()
    assert "left alone" in captured.out
    assert "partitions: 4 -> 5 (accounts would move to other partitions; --grow does it)" in captured.out
    assert f"{len(NAMES)} topics" in captured.err

    assert run(["topics", "apply", "--grow"]) == 0
    assert run(["topics", "apply"]) == 0


def test_each_change_is_a_json_line_with_both_values(
    in_environment: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(["topics", "apply", "--json"])
    created = rows(capsys.readouterr().out)
    assert [row["outcome"] for row in created] == ["created"] * len(NAMES)

    monkeypatch.setenv("PEGEL_TOPICS__ACTION_RETENTION_DAYS", "1")
    run(["topics", "apply", "--json"])
    (altered,) = rows(capsys.readouterr().out)
    assert altered == {
        "topic": in_environment.kafka.topic_prefix + "playbook.actions.v1",
        "difference": "config",
        "setting": "retention.ms",
        "found": str(400 * 86_400_000),
        "wanted": "86400000",
        "outcome": "altered",
        "reason": "",
    }


def test_show_lists_every_topic_as_it_is_and_what_differs(
    in_environment: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["topics", "show"]) == 0
    assert capsys.readouterr().out.count(" missing ") == len(NAMES)

    run(["topics", "apply"])
    capsys.readouterr()
    assert run(["topics", "show"]) == 0
    assert capsys.readouterr().out.count(" as defined ") == len(NAMES)

    monkeypatch.setenv("PEGEL_TOPICS__EVENT_RETENTION_DAYS", "2")
    assert run(["topics", "show", "--json"]) == 0
    shown = {row["topic"]: row for row in rows(capsys.readouterr().out)}
    events = shown[in_environment.kafka.topic_prefix + "product.events.v1"]
    assert (events["partitions"], events["exists"]) == (4, True)
    assert events["differences"] == ["retention.ms is -1, not 172800000"]
