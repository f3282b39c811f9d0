"""State that is rebuilt under a deployment's feet: what was told and will be told is what a replay of its log tells."""

import gzip
import json
import subprocess
from collections import defaultdict
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from streams.rebuild.log import LogReader
from streams.settings import Settings
from streams.topic_admin import TopicAdmin
from streams.topics import Topics, specs
from tests.kafka.test_doctor import Damage, one_event_more
from tests.kafka.test_pipeline import EVENTS, Transitions, dumped, replayed, require_equal, written
from tests.kafka.workers import PEGEL, environment, pegel, wait_for, wait_until_settled, workers

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

PART = 500
MORE = {"PEGEL_ENGAGEMENT__CATALOG": "oss", "PEGEL_ENGAGEMENT__CLOCK": "log"}
PUBLISH = (*PEGEL, "publish", "-", "--key", "account")


def parts(count: int) -> list[bytes]:
    with gzip.open(EVENTS) as lines:
        return [b"".join(islice(lines, PART)) for _ in range(count)]


def publish(settings: Settings, part: bytes, *options: str) -> None:
    done = pegel(settings, "publish", "-", "--key", "account", *options, stdin=part)
    assert done.returncode == 0, done.stderr.decode()


def rebuilt(settings: Settings, *options: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [*PEGEL, "rebuild", "--yes", "--json", *options],
        env=environment(settings, MORE), capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


def count_of(done: list[dict[str, Any]], what: str) -> int:
    return sum(one["accounts"].get(what, 0) for one in done)


def events_in_log(settings: Settings) -> int:
    topic = Topics(settings.kafka.topic_prefix).account_events
    with LogReader(settings.kafka) as reader:
        return sum(
            not record.headers
            for partition in range(reader.partitions(topic))
            for record in reader.records(topic, partition, 0, reader.extent(topic, partition).end)
        )


def busiest(settings: Settings) -> list[str]:
    found = written(settings)
    return sorted(found, key=lambda account: -len(found[account]))


def test_a_deployment_that_is_rebuilt_in_full_flow_tells_what_a_replay_of_its_log_tells(
    deployment: Settings, tmp_path: Path
) -> None:
    first, second, third, fourth = parts(4)
    with workers(deployment, tmp_path, MORE, "intake", "engagement") as running:
        publish(deployment, first)
        wait_until_settled(running["engagement"], PART)
        refused = pegel(deployment, "rebuild", "--yes", "--wait", "0")
        assert refused.returncode == 1
        assert b"1 engagement workers are in the group" in refused.stderr
        running["engagement"].kill()

        damage, accounts = Damage(deployment), busiest(deployment)
        damage.row(accounts[0], lambda _stored: None)
        damage.row(accounts[1], one_event_more)
        publish(deployment, second)
        publishing = subprocess.Popen(PUBLISH, env=environment(deployment), stdin=subprocess.PIPE)
        assert publishing.stdin is not None
        publishing.stdin.write(third)
        publishing.stdin.close()
        done = rebuilt(deployment)
        assert publishing.wait(60) == 0
        assert count_of(done, "same") == sum(sum(one["accounts"].values()) for one in done)
        assert sum(one["transitions"] for one in done) == 0
        assert sum(one["rows"] for one in done) >= 2

        running["engagement"].start()
        publish(deployment, fourth)
        wait_for(lambda: events_in_log(deployment) == 4 * PART, *running.values())
        wait_until_settled(running["engagement"], 4 * PART)

    dump = pegel(deployment, "dump", "account.events.v1").stdout
    told = written(deployment)
    require_equal(told, replayed(deployment, "-", "--catalog", "oss", stdin=dump))
    from_a_part(deployment, tmp_path, told)


def test_a_log_that_is_cut_into_more_partitions_goes_on_where_it_was(
    kafka_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, more = (
        kafka_settings.model_copy(update={"kafka": kafka_settings.kafka.model_copy(update={"partitions": count})})
        for count in (2, 3)
    )
    topics, admin = Topics(few.kafka.topic_prefix), TopicAdmin(few.kafka)
    admin.apply(specs(few))
    first, second = parts(2)
    monkeypatch.setenv("PEGEL_KAFKA__PARTITIONS", "2")
    with workers(few, tmp_path, MORE, "engagement") as running:
        publish(few, first, "--topic", topics.account_events)
        wait_until_settled(running["engagement"], PART)
    before = written(few)

    files = [str(tmp_path / f"{number}.ndjson") for number in range(2)]
    for number, file in enumerate(files):
        dump = pegel(few, "dump", topics.account_events, "--partition", str(number)).stdout
        Path(file).write_bytes(dump)
    old = [topics.account_events, topics.accounts_changelog]
    admin.delete(old)
    wait_for(lambda: not set(old) & set(admin.names()))
    monkeypatch.setenv("PEGEL_KAFKA__PARTITIONS", "3")
    admin.apply(specs(more))
    restored = pegel(more, "restore", *files)
    assert restored.returncode == 0, restored.stderr.decode()
    done = rebuilt(more, "--at-end")
    assert len(done) == 3
    # Deadlines that the clock of one old partition had reached are due in all partitions now.
    words = {word for one in done for word in one["accounts"]}
    assert words <= {"same", "continued", "corrected"}
    assert sum(count_of(done, word) for word in words) == len(before)

    with workers(more, tmp_path, MORE, "engagement") as running:
        publish(more, second, "--topic", topics.account_events)
        wait_until_settled(running["engagement"], 2 * PART)
    told = written(more)  # which checks that sequences are 1..n in the order of the topic
    assert all(told[account][: len(transitions)] == transitions for account, transitions in before.items())
    assert sum(map(len, told.values())) > sum(map(len, before.values()))
    require_memberships(more, told)


def from_a_part(deployment: Settings, tmp_path: Path, before: Transitions) -> None:
    """Of a log that is read from the middle on, what was told is corrected, not repeated, and nobody is notified."""
    arrival = json.loads(parts(3)[2].splitlines()[0])["receivedAt"]
    done = rebuilt(deployment, "--from", arrival)
    assert count_of(done, "kept") > 0
    assert count_of(done, "corrected") > 0
    told = written(deployment)  # which checks that sequences are 1..n in the order of the topic
    corrections = [one for account, all_of_it in told.items() for one in all_of_it[len(before[account]) :]]
    assert len(corrections) == sum(one["transitions"] for one in done) > 0
    assert {one["trigger"] for one in corrections} == {"rebuild"}
    require_memberships(deployment, told)

    with workers(deployment, tmp_path, MORE, "intake", "engagement") as running:
        publish(deployment, parts(5)[4])
        wait_until_settled(running["engagement"], 5 * PART)
    after = written(deployment)
    assert sum(map(len, after.values())) > sum(map(len, told.values()))
    require_memberships(deployment, after)


def require_memberships(settings: Settings, told: Transitions) -> None:
    """The membership topic says what its transitions add up to."""
    held: dict[str, set[str]] = defaultdict(set)
    for account, transitions in told.items():
        for one in transitions:
            if one["direction"] != "entered":
                held[account].remove(one["from_segment"] or one["segment"])
            if one["direction"] != "exited":
                held[account].add(one["segment"])
    members = {one["key"]: json.loads(one["payload"]) for one in dumped(settings, "segments.membership.v1")}
    for account, segments in held.items():
        assert {one["segment"] for one in members[account]["segments"]} == segments, account
