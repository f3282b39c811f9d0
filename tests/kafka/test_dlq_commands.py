"""Laws of `pegel dlq` on a real broker: each dead letter is settled once, whatever ends it and whoever else tries."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.dead_letter import Rejected, RejectReason
from streams.cli import run
from streams.dead_letters.letters import Selection, Verdict
from streams.dead_letters.marks import Action
from streams.dead_letters.settle import Order, Settled, _fenced_is_expected, _Writer, carry_out
from streams.dead_letters.store import Store
from streams.dumping import TopicReader
from streams.errors import ExpectedError
from streams.kafka_client import producer, reaching
from streams.runtime.dead_letters import RefusedAt, dead_letter
from streams.settings import Settings
from streams.topics import EVENT_BATCH_BYTES_MAX, Topics

pytestmark = pytest.mark.kafka

NOW = 1_772_368_498_000


@dataclass(frozen=True)
class Record:
    value: bytes | None
    offset: int
    key: bytes | None = b"u\xff1"
    timestamp: int = NOW
    headers: list[tuple[str, bytes | None]] = field(default_factory=lambda: [("traceparent", b"00-ab"), ("n", None)])


@pytest.fixture
def topics(deployment: Settings, monkeypatch: pytest.MonkeyPatch) -> Topics:
    monkeypatch.setenv("PEGEL_KAFKA__BOOTSTRAP", deployment.kafka.bootstrap)
    monkeypatch.setenv("PEGEL_KAFKA__TOPIC_PREFIX", deployment.kafka.topic_prefix)
    return Topics(deployment.kafka.topic_prefix)


def refuse(settings: Settings, count: int, reason: RejectReason = RejectReason.NOT_JSON, first: int = 0) -> None:
    """Dead letters as intake writes them, in partition 0 of their topic."""
    topics = Topics(settings.kafka.topic_prefix)
    at = RefusedAt("intake", topics.product_events, 1, topics.product_events_dlq)
    client = Producer({"bootstrap.servers": settings.kafka.bootstrap})
    for number in range(first, first + count):
        letter = dead_letter(Record(b"{%d" % number, number), Rejected(reason, "it is broken"), at)
        client.produce(letter.topic, letter.value, letter.key, 0, headers=list(letter.headers))
    assert client.flush(30) == 0


def read(settings: Settings, topic: str) -> list[Any]:
    return list(TopicReader(settings.kafka, topic).records())


def order(topics: Topics, action: Action = Action.RETRIED, **more: Any) -> Order:
    return Order(action, Selection([topics.product_events_dlq]), "ann", "mended", **more)


def values(messages: Sequence[Any]) -> list[bytes]:
    return [message.value() for message in messages]


def listed(capfd: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    capfd.readouterr()
    assert run(["dlq", "list", "--json", *arguments]) == 0
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def test_a_retry_writes_the_original_record_once_however_often_it_is_asked_for(
    deployment: Settings, topics: Topics, capfd: pytest.CaptureFixture[str]
) -> None:
    refuse(deployment, 3)
    assert [row["state"] for row in listed(capfd)] == ["open"] * 3
    for _ in range(3):
        assert run(["dlq", "retry", "product", "--yes", "--note", "mended"]) == 0
    messages = read(deployment, topics.product_events)
    assert values(messages) == [b"{0", b"{1", b"{2"]
    for message in messages:
        assert (message.key(), message.partition(), message.timestamp()[1]) == (b"u\xff1", 1, NOW)
        assert message.headers() == [
            ("traceparent", b"00-ab"), ("n", None),
            ("pegel-first-seen", b"2026-03-01T12:34:58.000Z"), ("pegel-retries", b"1"),
        ]  # fmt: skip
    assert listed(capfd) == []
    rows = listed(capfd, "--all")
    assert [(row["state"], row["note"]) for row in rows] == [("retried", "mended")] * 3
    assert all(row["settled_at"] and row["settled_by"] for row in rows)


def test_single_letters_are_chosen_by_reason_id_time_and_number(
    deployment: Settings, topics: Topics, capfd: pytest.CaptureFixture[str]
) -> None:
    refuse(deployment, 3)
    refuse(deployment, 2, RejectReason.TOO_DEEP, first=3)
    assert run(["dlq", "retry", "--id", "product:0:1", "--yes"]) == 0
    assert run(["dlq", "retry", "--reason", "too_deep", "--limit", "1", "--yes"]) == 0
    assert run(["dlq", "retry", "product", "--until", "1h", "--yes"]) == 0
    assert sorted(values(read(deployment, topics.product_events))) == [b"{1", b"{3"]
    name = topics.product_events_dlq
    assert [row["id"] for row in listed(capfd)] == [f"{name}:0:{offset}" for offset in (0, 2, 4)]
    assert [row["offset"] for row in listed(capfd, "--since", "1h", "--limit", "2")] == [0, 2]

    capfd.readouterr()
    assert run(["dlq", "retry", "--id", "product:0:1", "--yes"]) == 0
    said = capfd.readouterr()
    assert said.out == f"{name}:0:1  left alone (already_retried)\n"
    assert "0 dead letters retried, 1 were done with before, 0 left alone" in said.err
    assert run(["dlq", "retry", "--id", "product:0:99", "--yes"]) == 1
    assert f"there is no dead letter {name}:0:99" in capfd.readouterr().err


def test_what_is_dropped_is_open_no_more_and_says_who_and_why(
    deployment: Settings, topics: Topics, capfd: pytest.CaptureFixture[str]
) -> None:
    refuse(deployment, 2)
    assert run(["dlq", "drop", "product", "--note", "test data", "--by", "ann", "--dry-run"]) == 0
    assert len(listed(capfd)) == 2
    assert run(["dlq", "drop", "--id", "product:0:0", "--note", "test data", "--by", "ann", "--yes"]) == 0
    assert run(["dlq", "retry", "product", "--yes"]) == 0
    assert values(read(deployment, topics.product_events)) == [b"{1"]
    first, second = listed(capfd, "--all")
    assert (first["state"], first["settled_by"], first["note"]) == ("dropped", "ann", "test data")
    assert second["state"] == "retried"
    capfd.readouterr()
    assert run(["dlq", "list", "--all", "--summary"]) == 0
    assert [line.split()[:3] for line in capfd.readouterr().out.splitlines()] == [
        ["1", "dropped", "not_json"], ["1", "retried", "not_json"],
    ]  # fmt: skip


def test_a_crash_between_two_transactions_or_within_one_repeats_nothing_and_loses_nothing(
    deployment: Settings, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(deployment, 5)
    monkeypatch.setattr("streams.dead_letters.settle.LETTERS_AT_ONCE_MAX", 2)
    seen: list[Settled] = []

    def crash(settled: Settled) -> None:
        seen.append(settled)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out(deployment, order(topics), crash)
    assert values(read(deployment, topics.product_events)) == [b"{0", b"{1"]

    config = {"transactional.id": f"{topics.prefix}pegel.dlq", "bootstrap.servers": deployment.kafka.bootstrap}
    dead = Producer(config)
    dead.init_transactions(30)
    dead.begin_transaction()
    dead.produce(topics.product_events, b"{2", partition=1)
    assert dead.flush(30) == 0  # it is in the log, and its transaction is never ended by this one

    carry_out(deployment, order(topics))
    carry_out(deployment, order(topics))
    assert values(read(deployment, topics.product_events)) == [b"{%d" % number for number in range(5)]


def test_of_two_operators_at_once_one_ends_and_each_letter_is_settled_once(
    deployment: Settings, topics: Topics
) -> None:
    refuse(deployment, 3)
    config = {"transactional.id": f"{topics.prefix}pegel.dlq", "enable.idempotence": True}
    with reaching(deployment.kafka) as complaints:
        slow = _Writer(producer(deployment.kafka, complaints, config), deployment, order(topics))
        slow.begin()
        store = Store(deployment.kafka)
        for letter in store.letters(order(topics).selection, store.marks(order(topics).selection)):
            slow.add(Settled(letter, Verdict.READY), lambda _: None)
        carry_out(deployment, order(topics))
        with pytest.raises(ExpectedError, match="another 'pegel dlq"), _fenced_is_expected():
            slow.commit(lambda _: None)
    assert values(read(deployment, topics.product_events)) == [b"{0", b"{1", b"{2"]


def test_marks_of_letters_that_are_gone_are_removed(deployment: Settings, topics: Topics) -> None:
    refuse(deployment, 3)
    carry_out(deployment, order(topics, limit=2))
    admin = AdminClient({"bootstrap.servers": deployment.kafka.bootstrap})
    for future in admin.delete_records([TopicPartition(topics.product_events_dlq, 0, 2)]).values():
        future.result()
    carry_out(deployment, order(topics))
    places = Store(deployment.kafka).marks(order(topics).selection).by_place
    assert [place.offset for place in places] == [2]


def test_a_letter_is_shown_whole_and_its_value_moves_no_terminal(
    deployment: Settings, topics: Topics, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    at = RefusedAt("intake", topics.product_events, 1, topics.product_events_dlq)
    client = Producer({"bootstrap.servers": deployment.kafka.bootstrap})
    odd = [b'{"a":"\xc2\x9b31m"', b'{"a": [1, "\\u009b31m"]}', b"\xff\x1b[31m", None]
    for offset, value in enumerate(odd):
        letter = dead_letter(Record(value, offset, key=b"\x1b[31m"), Rejected(RejectReason.NOT_JSON, "why"), at)
        client.produce(letter.topic, letter.value, letter.key, 0, headers=list(letter.headers))
    assert client.flush(30) == 0
    shown = []
    for offset in range(len(odd)):
        assert run(["dlq", "show", "product", "0", str(offset)]) == 0
        page = capfdbinary.readouterr().out
        assert b"\x1b" not in page
        assert b"\xc2\x9b" not in page
        assert b"not_json" in page
        assert b"traceparent: 00-ab" in page
        shown.append(page.partition(b"\n\n")[2])
    assert b"7b 22 61" in shown[0]
    assert b'"a": [\n    1,' in shown[1]
    assert b"ff 1b 5b 33 31 6d" in shown[2]
    assert shown[3] == b"null\n"
    assert run(["dlq", "show", "product", "0", "2", "--raw"]) == 0
    assert capfdbinary.readouterr().out == odd[2]
    assert run(["dlq", "list"]) == 0
    assert b"\x1b" not in capfdbinary.readouterr().out
    assert run(["dlq", "show", "product", "0", "77"]) == 1


def test_the_largest_letter_that_is_tried_again_is_taken_by_the_broker(deployment: Settings, topics: Topics) -> None:
    at = RefusedAt("intake", topics.product_events, 1, topics.product_events_dlq)
    record = Record(random.Random(1).randbytes(EVENT_BATCH_BYTES_MAX - 4_096), 0, headers=[])
    client = Producer({"bootstrap.servers": deployment.kafka.bootstrap, "message.max.bytes": 4 << 20})
    for extra in (0, 4_096):
        letter = dead_letter(replace(record, key=b"k" * extra), Rejected(RejectReason.TOO_LARGE, "why"), at)
        client.produce(letter.topic, letter.value, letter.key, 0, headers=list(letter.headers))
    assert client.flush(30) == 0
    verdicts: list[Verdict] = []
    carry_out(deployment, order(topics), lambda settled: verdicts.append(settled.verdict))
    assert sorted(verdicts) == [Verdict.READY, Verdict.TOO_LARGE]
    assert values(read(deployment, topics.product_events)) == [record.value]


def test_thousands_of_letters_are_settled_in_bounded_pieces(deployment: Settings, topics: Topics) -> None:
    refuse(deployment, 3_000)
    carry_out(deployment, order(topics))
    assert len(read(deployment, topics.product_events)) == 3_000
    assert len(read(deployment, topics.dead_letter_marks)) == 3_000
