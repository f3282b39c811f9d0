"""`pegel explain --from-kafka` on a real broker: the story that the log tells, wherever the account's records lie."""

import json
from typing import Any

import pytest
from confluent_kafka import Producer

from schemas.control import Clock, encode_control
from schemas.timestamps import format_ms
from streams.cli import ExitStatus, run
from streams.runtime.partitioner import partition_of
from streams.settings import Settings
from streams.topics import Topics

pytestmark = pytest.mark.kafka

START = 1_772_452_800_000  # 2026-03-02T12:00:00Z
DAY = 86_400_000


@pytest.fixture
def in_environment(deployment: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("PEGEL_KAFKA__BOOTSTRAP", deployment.kafka.bootstrap)
    monkeypatch.setenv("PEGEL_KAFKA__TOPIC_PREFIX", deployment.kafka.topic_prefix)
    return deployment


def write(settings: Settings, account: str, partition: int, days: list[int]) -> None:
    """Events of an account, then the log's clock three days later."""
    topic = Topics(settings.kafka.topic_prefix).account_events
    producer = Producer({"bootstrap.servers": settings.kafka.bootstrap})
    for day in days:
        at = START + day * DAY
        value = json.dumps(
            {"type": "track", "event": "run", "messageId": f"{account}{day}", "timestamp": format_ms(at)}
        )
        producer.produce(topic, value, account, partition, timestamp=at)
    at = START + (days[-1] + 3) * DAY
    header, clock = encode_control(Clock(at=format_ms(at)))
    producer.produce(topic, clock, None, partition, timestamp=at, headers=[header])
    assert producer.flush(30) == 0


def story(capsys: pytest.CaptureFixture[str], account: str, *options: str) -> Any:
    assert run(["explain", account, "--from-kafka", "--json", *options]) == ExitStatus.OK
    return json.loads(capsys.readouterr().out)


def test_the_log_tells_the_story(in_environment: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    home = partition_of(b"acme", in_environment.kafka.partitions)
    write(in_environment, "acme", home, [0, 1])
    write(in_environment, "other", home, [0, 9])
    told = story(capsys, "acme")
    assert told["facts"]["events"] == {"run": 2}
    assert told["as_of"] == format_ms(START + 12 * DAY)
    new_trial = next(stay for stay in told["memberships"] if stay["segment"] == "new_trial")
    assert new_trial["left_because"]["trigger"] == "deadline"
    earlier = story(capsys, "acme", "--at", format_ms(START))
    assert earlier["facts"]["events"] == {"run": 1}


def test_an_account_in_a_partition_of_its_writers_choice_is_found(
    in_environment: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    partitions = in_environment.kafka.partitions
    write(in_environment, "acme", (partition_of(b"acme", partitions) + 1) % partitions, [0])
    assert story(capsys, "acme")["facts"]["events"] == {"run": 1}


def test_an_unknown_account_is_told_the_nearest_of_all_partitions(
    in_environment: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    for partition in range(in_environment.kafka.partitions):
        write(in_environment, f"acme{partition}", partition, [0])
    assert run(["explain", "acne3", "--from-kafka"]) == ExitStatus.FAILURE
    assert "4 others; did you mean 'acme3'?" in capsys.readouterr().err
