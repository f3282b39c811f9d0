"""Laws of publishing and dumping on a real broker: what goes in comes out, as it was, where it belongs."""

import base64
import gzip
import io
import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from schemas.timestamps import format_ms, parse_ms
from streams.cli import run
from streams.dumping import TopicReader, line_of
from streams.publish.pace import Pace
from streams.publish.publisher import Progress, PublishOrder, publish
from streams.publish.record import KeyKind
from streams.replay.envelope import decode_envelope
from streams.settings import Settings
from streams.topic_admin import TopicAdmin
from streams.topics import Topics, specs

pytestmark = pytest.mark.kafka

DATA_SET = Path(__file__).parents[2] / "deploy" / "demo" / "oss-activity.ndjson.gz"
FIRST_LINES = 5_000


def dumped(settings: Settings, topic: str) -> list[Any]:
    lines = [line_of(message) for message in TopicReader(settings.kafka, topic).records()]
    return [decode_envelope(line) for line in lines]


def topics_of(settings: Settings) -> Topics:
    return Topics(settings.kafka.topic_prefix)


def event(number: int, **fields: object) -> str:
    at = format_ms(1_700_000_000_000 + number * 1_000)
    return json.dumps({"type": "track", "event": "x", "timestamp": at, "userId": "u", "n": number, **fields})


def written(file: Path, lines: list[str]) -> str:
    file.write_text("".join(line + "\n" for line in lines))
    return str(file)


@pytest.fixture
def in_environment(deployment: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("PEGEL_KAFKA__BOOTSTRAP", deployment.kafka.bootstrap)
    monkeypatch.setenv("PEGEL_KAFKA__TOPIC_PREFIX", deployment.kafka.topic_prefix)
    return deployment


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    with gzip.open(DATA_SET) as stream:
        return [next(stream).rstrip(b"\n") for _ in range(FIRST_LINES)]


@pytest.mark.parametrize("kind", list(KeyKind))
def test_bytes_arrival_key_and_order_per_key_come_out_as_they_went_in(
    deployment: Settings, tmp_path: Path, lines: list[bytes], kind: KeyKind
) -> None:
    file = tmp_path / "events.ndjson.gz"
    file.write_bytes(gzip.compress(b"\n".join(lines)))
    topic = topics_of(deployment).account_events

    result = publish(deployment.kafka, PublishOrder([str(file)], topic, key=kind))
    records = dumped(deployment, topic)

    assert (result.delivered, result.complete) == (len(lines), True)
    assert Counter(record.payload_bytes() for record in records) == Counter(lines)
    expected: dict[bytes, list[bytes]] = defaultdict(list)
    for line in lines:
        fields = json.loads(line)
        by_account = fields.get("groupId") or fields["context"]["groupId"]
        expected[(fields["userId"] if kind is KeyKind.USER else by_account).encode()].append(line)
    found: dict[bytes, list[bytes]] = defaultdict(list)
    for record in records:
        found[record.key_bytes()].append(record.payload_bytes())
        assert record.ts == parse_ms(json.loads(record.payload)["receivedAt"])
    assert found == expected


def test_keys_lie_where_murmur2_puts_them(deployment: Settings, tmp_path: Path) -> None:
    topic = topics_of(deployment).product_events
    keys = [f"key-{number}" for number in range(50)]
    publish(deployment.kafka, PublishOrder([written(tmp_path / "f", [event(1, userId=key) for key in keys])], topic))
    reference = topics_of(deployment).account_events
    producer = Producer({"bootstrap.servers": deployment.kafka.bootstrap, "partitioner": "murmur2"})
    for key in keys:
        producer.produce(reference, b"{}", key)
    assert producer.flush(30) == 0

    assert {record.key: record.partition for record in dumped(deployment, topic)} == {
        record.key: record.partition for record in dumped(deployment, reference)
    }


def test_a_dump_goes_partition_by_partition_in_offset_order(deployment: Settings, tmp_path: Path) -> None:
    topic = topics_of(deployment).product_events
    file = written(tmp_path / "f", [event(number, userId=f"u{number % 30}") for number in range(500)])
    publish(deployment.kafka, PublishOrder([file], topic))

    places = [(record.partition, record.offset) for record in dumped(deployment, topic)]

    assert len(places) == 500
    assert places == sorted(places)
    assert len({partition for partition, _ in places}) > 1


def test_a_dump_shows_committed_records_only_and_ends_behind_markers(deployment: Settings) -> None:
    topic = topics_of(deployment).transitions
    producer = Producer({"bootstrap.servers": deployment.kafka.bootstrap, "transactional.id": topic})
    producer.init_transactions(30)
    for number, commit in enumerate([True, False, True]):
        producer.begin_transaction()
        producer.produce(topic, str(number).encode(), b"k", headers=[("pegel-control", b"clock"), ("n", None)])
        producer.commit_transaction(30) if commit else producer.abort_transaction(30)

    records = dumped(deployment, topic)

    assert [record.payload for record in records] == ["0", "2"]
    assert {tuple(record.headers) for record in records} == {("pegel-control", "clock", "n", None)}


def test_an_open_transaction_does_not_hold_up_a_dump(deployment: Settings) -> None:
    topic = topics_of(deployment).transitions
    plain = Producer({"bootstrap.servers": deployment.kafka.bootstrap})
    plain.produce(topic, b"before", b"k")
    assert plain.flush(30) == 0
    hanging = Producer({"bootstrap.servers": deployment.kafka.bootstrap, "transactional.id": topic})
    hanging.init_transactions(30)
    hanging.begin_transaction()
    hanging.produce(topic, b"open", b"k")
    hanging.flush(30)
    started = time.monotonic()

    records = dumped(deployment, topic)

    assert [record.payload for record in records] == ["before"]
    assert time.monotonic() - started < 30
    hanging.abort_transaction(30)


def test_a_dump_ends_where_the_topic_ended_when_it_began(deployment: Settings, tmp_path: Path) -> None:
    topic = topics_of(deployment).catalogs  # one partition
    file = written(tmp_path / "f", [event(number) for number in range(10)])
    publish(deployment.kafka, PublishOrder([file], topic))

    records = TopicReader(deployment.kafka, topic).records()
    seen = [next(records)]
    publish(deployment.kafka, PublishOrder([file], topic))

    assert len(seen) + len(list(records)) == 10


def test_shifting_brings_the_last_arrival_to_now_and_keeps_all_distances(
    deployment: Settings, tmp_path: Path, lines: list[bytes]
) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(b"\n".join(lines))
    topic = topics_of(deployment).product_events
    before_ms = time.time() * 1_000

    result = publish(deployment.kafka, PublishOrder([str(file)], topic, shift_to_now=True))
    records = {json.loads(record.payload)["messageId"]: record for record in dumped(deployment, topic)}

    assert result.complete
    originals = [json.loads(line) for line in lines]
    shifts = {
        record_ms - original_ms
        for original in originals
        for name in ("timestamp", "receivedAt")
        if (original_ms := parse_ms(original[name])) is not None
        and (record_ms := parse_ms(json.loads(records[original["messageId"]].payload)[name])) is not None
    }
    assert len(shifts) == 1
    newest_ms = max(record.ts for record in records.values())
    assert before_ms - 1_000 <= newest_ms <= time.time() * 1_000


def test_pacing_plays_the_last_stretch_at_its_speed(deployment: Settings, tmp_path: Path) -> None:
    topic = topics_of(deployment).product_events
    file = written(tmp_path / "f", [event(number) for number in range(0, 1_000, 10)])
    told: list[tuple[float, Progress]] = []

    result = publish(
        deployment.kafka,
        PublishOrder([file], topic, pace=Pace(speed=100, last_ms=200_000), shift_to_now=True),
        on_progress=lambda progress: told.append((time.monotonic(), progress)),
    )

    assert result.delivered == 100
    assert 1.5 <= result.elapsed_s < 10
    assert [progress.delivered for _, progress in told] == sorted(progress.delivered for _, progress in told)
    assert len(told) > 5
    assert told[-1][1].fraction == 1.0
    newest = max(record.ts for record in dumped(deployment, topic))
    assert abs(newest - time.time() * 1_000) < 30_000


def test_publishing_can_be_stopped_and_what_was_sent_is_delivered(deployment: Settings, tmp_path: Path) -> None:
    topic = topics_of(deployment).product_events
    file = written(tmp_path / "f", [event(0), event(1), event(86_400)])
    stop = threading.Event()
    threading.Timer(1.0, stop.set).start()

    result = publish(deployment.kafka, PublishOrder([file], topic, pace=Pace(speed=10)), stop=stop)

    assert result.stopped
    assert result.delivered == 2 == len(dumped(deployment, topic))


def test_bad_lines_are_reported_with_their_place_and_the_rest_is_published(
    in_environment: Settings, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "events", [event(1), "{", "", event(2), "{}"])

    assert run(["publish", file]) == 1

    said = capfd.readouterr().err
    assert f"{file}:2: not JSON" in said
    assert f"{file}:5: neither receivedAt nor timestamp" in said
    assert "published 2 records" in said
    assert len(dumped(in_environment, topics_of(in_environment).product_events)) == 2


def test_a_file_that_breaks_off_is_named_and_what_came_before_is_published(
    in_environment: Settings, tmp_path: Path, capfd: pytest.CaptureFixture[str], lines: list[bytes]
) -> None:
    whole = gzip.compress(b"\n".join(lines))
    (tmp_path / "half.gz").write_bytes(whole[: len(whole) // 2])

    assert run(["publish", str(tmp_path / "half.gz")]) == 1

    error = capfd.readouterr().err
    assert f"{tmp_path / 'half.gz'}:" in error
    assert "cannot be read: Compressed file ended" in error
    records = dumped(in_environment, topics_of(in_environment).product_events)
    assert 0 < len(records) < len(lines)


def test_an_arrival_in_the_future_is_a_bad_line_and_takes_no_neighbour_with_it(
    in_environment: Settings, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ahead = format_ms(time.time_ns() // 1_000_000 + 86_400_000)
    file = written(tmp_path / "f", [event(1), event(2, timestamp=ahead), event(3)])

    assert run(["publish", file]) == 1

    said = capfd.readouterr().err
    assert f"{file}:2: arrival lies more than an hour ahead" in said
    assert "published 2 records" in said


def test_what_kafka_refuses_is_counted_by_its_reason(
    in_environment: Settings, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    small = [replace(spec, batch_bytes_max=500) for spec in specs(in_environment)]
    TopicAdmin(in_environment.kafka).apply(small)
    incompressible = base64.b64encode(random.Random(7).randbytes(2_000)).decode()
    file = written(tmp_path / "f", [event(1, text=incompressible)])

    assert run(["publish", file]) == 1

    said = capfd.readouterr().err
    assert "published 0 records" in said
    assert "not taken by Kafka: 1 (Broker: Message size too large: 1)" in said


def test_standard_input_is_published_shifted_or_not(
    in_environment: Settings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for arguments in ([], ["--shift-to-now"]):
        stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO((event(1) + "\nx\n").encode())))
        monkeypatch.setattr(sys, "stdin", stdin)

        assert run(["publish", "-", *arguments]) == 1
        assert "<stdin>:2: not JSON" in capfd.readouterr().err
    assert len(dumped(in_environment, topics_of(in_environment).product_events)) == 2


def test_a_topic_that_is_not_there_is_not_made(
    in_environment: Settings, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "f", [event(1)])

    assert run(["publish", file, "--topic", "typo.v1"]) == 1
    assert run(["dump", "typo.v1"]) == 1

    said = capfd.readouterr().err
    prefix = in_environment.kafka.topic_prefix
    assert said.count(f"there is no topic {prefix}typo.v1") == 2
    assert "pegel topics apply" in said


def test_a_dump_is_what_replay_reads(
    in_environment: Settings, tmp_path: Path, lines: list[bytes], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    # Rules over one account at a time: percentiles over all of them need the file's order, which a dump has not.
    catalog = written(
        tmp_path / "catalog.yaml",
        [
            "format: 1",
            "name: own",
            "segments:",
            "  - {id: trying, when: 'stage == \"trial\" and since(signed_up_at) < 4'}",
            "  - {id: busy, when: 'score(days=7) >= 10'}",
            "  - {id: quiet, when: 'since(last_active_at) > 21'}",
        ],
    )
    file = tmp_path / "events.ndjson"
    file.write_bytes(b"\n".join(lines))
    assert run(["publish", str(file), "--key", "account", "--topic", "account.events.v1"]) == 0
    assert run(["dump", "account.events.v1"]) == 0
    (tmp_path / "dump").write_bytes(capfdbinary.readouterr().out)

    assert run(["replay", str(tmp_path / "dump"), "--catalog", catalog]) == 0
    of_dump = capfdbinary.readouterr().out
    assert run(["replay", str(file), "--catalog", catalog]) == 0
    of_file = capfdbinary.readouterr().out

    assert of_dump == of_file
    assert of_file.count(b"\n") > 100


def test_a_dump_can_be_cut_to_partitions_and_a_number(
    in_environment: Settings, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "f", [event(number, userId=f"u{number}") for number in range(100)])
    assert run(["publish", file]) == 0

    assert run(["dump", "product.events.v1", "--partition", "2", "--partition", "0", "--max", "30"]) == 0
    places = [json.loads(line)["partition"] for line in capfd.readouterr().out.splitlines()]
    assert len(places) == 30
    assert set(places) <= {0, 2}
    assert run(["dump", "product.events.v1", "--partition", "9"]) == 1
    assert "has no partition 9, only 0 to 3" in capfd.readouterr().err


def test_following_shows_what_comes_after(in_environment: Settings, tmp_path: Path) -> None:
    topic = topics_of(in_environment).product_events
    order = PublishOrder([written(tmp_path / "f", [event(1)])], topic)
    publish(in_environment.kafka, order)
    code = "from streams.cli import main; main()"
    dump = subprocess.Popen(
        [sys.executable, "-c", code, "dump", "product.events.v1", "--follow", "--max", "2"],
        stdout=subprocess.PIPE,
    )
    assert dump.stdout is not None

    assert json.loads(dump.stdout.readline())["offset"] == 0
    publish(in_environment.kafka, order)

    assert json.loads(dump.stdout.readline())["offset"] == 1
    assert dump.wait(30) == 0
    dump.stdout.close()
