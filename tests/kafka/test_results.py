"""`pegel playbook results` on a real broker: the two topics say what a file of both says."""

import json
from pathlib import Path

import pytest
from confluent_kafka import Producer

from streams.cli import ExitStatus, run
from streams.settings import Settings
from streams.topics import Topics
from tests.unit.report.logs import experiment

pytestmark = pytest.mark.kafka

PLAYBOOK = """\
format: 1
name: ours
destinations: [{id: team, type: console}]
templates: {words: {title: "{{ name }}"}}
plays:
  - {id: save, segment: at_risk, template: words, destination: team, holdout_percent: 50,
     goal: {enters: customer, within_days: 14}}
"""


def test_results_from_topics_are_those_from_a_file_of_their_records(
    deployment: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    playbook, file = tmp_path / "ours.yaml", tmp_path / "log.ndjson"
    playbook.write_text(PLAYBOOK)
    lines = experiment({"treatment": (500, 100), "control": (500, 50)})
    file.write_bytes(b"".join(line + b"\n" for line in lines))
    topics = Topics(deployment.kafka.topic_prefix)
    producer = Producer({"bootstrap.servers": deployment.kafka.bootstrap})
    for number, line in enumerate(lines):
        topic = topics.actions if b'"exposed"' in line else topics.transitions
        producer.produce(topic, line, str(number).encode())
    assert producer.flush(30) == 0
    config = tmp_path / "pegel.yaml"
    kafka = {"bootstrap": deployment.kafka.bootstrap, "topic_prefix": deployment.kafka.topic_prefix}
    config.write_text(json.dumps({"kafka": kafka, "notify": {"playbooks": str(playbook)}}))
    options = ["playbook", "results", "--json", "--config", str(config), "--until", "2026-06-01T00:00:00Z"]
    assert run(options) == ExitStatus.OK
    from_topics = capsys.readouterr().out
    assert run([*options, "--file", str(file)]) == ExitStatus.OK
    assert from_topics == capsys.readouterr().out
    assert json.loads(from_topics)["verdict"] == "better"
