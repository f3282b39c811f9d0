"""Every reason for a dead letter, from bytes on the wire of a real broker, with real workers that live through it."""

import asyncio
import gzip
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cramjam
import pytest
from confluent_kafka import Producer

from schemas.dead_letter import DeadLetter
from streams.cli import run
from streams.dev.slack import Fault, SlackStandIn
from streams.dumping import TopicReader, headers_of
from streams.limits import (
    ACCOUNT_ID_CHARS_MAX,
    BATCH_BYTES_MAX,
    DEAD_LETTER_VALUE_BYTES_MAX,
    HEADERS_MAX,
    JSON_DEPTH_MAX,
    JSON_KEYS_MAX,
    RECORD_BYTES_MAX,
)
from streams.runtime.dead_letters import original_headers
from streams.settings import Settings
from streams.topics import Topics
from tests.kafka.raw_batches import GZIP, ZSTD, HeaderBytes, batch, record, wire, zipped
from tests.kafka.test_notifier import environment, ids, publish, told, wanted_ids
from tests.kafka.workers import wait_for, wait_until_settled, workers

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

PARTITION = 1
GOOD = b'{"type":"page","messageId":"%s","userId":"u1","context":{"groupId":"acme"}}'
EVENT = b'{"type":"page","userId":"u1","context":{"groupId":"acme"}}'
HOMELESS = b'{"type":"page","messageId":"m-home","userId":"nobody"}'
CONTROL = b"pegel-control"
GARBAGE = zipped(record(0, b"k", EVENT)) + b"junk"
"""A broker takes what a strict reader of gzip does not."""


@dataclass(frozen=True)
class Case:
    """A record, the reason for which it is refused (None: it is not), and what stands in its dead letter if not it."""

    name: str
    value: bytes | None
    reason: str | None
    key: bytes | None = b"acme"
    headers: HeaderBytes = ()
    codec: int = 0
    raw: bytes | None = None
    """Instead of a batch of this one record."""

    def batch(self, now_ms: int) -> bytes:
        if self.raw is not None:
            return self.raw
        one = record(0, self.key, self.value, self.headers)
        packed = gzip.compress(one, 1) if self.codec == GZIP else one
        return batch(packed, 1, now_ms, self.codec)


def padded(size_bytes: int) -> bytes:
    return EVENT[:-1] + b',"properties":{"text":"' + b"x" * (size_bytes - len(EVENT) - 25) + b'"}}'


def nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


def cases(now_ms: int) -> list[Case]:
    """Those that both stages refuse, or both take."""
    keys = b",".join(b'"k%d":1' % number for number in range(JSON_KEYS_MAX + 1))
    bomb = bytes(cramjam.zstd.compress(record(0, b"k", b"\0" * (BATCH_BYTES_MAX + 1))))
    return [
        Case("not utf-8", b'{"type":"page","userId":"\xff","context":{"groupId":"acme"}}', "not_utf8"),
        Case("truncated", EVENT[:-5], "not_json"),
        Case("empty", b"", "not_json"),
        Case("no object", b'["page"]', "not_an_object"),
        Case("wrong type of the type", EVENT.replace(b'"page"', b"7"), "unknown_type"),
        Case("unknown type", EVENT.replace(b"page", b"sing"), "unknown_type"),
        Case("no event name", EVENT.replace(b"page", b"track"), "missing_event"),
        Case("unreadable time", EVENT[:-1] + b',"timestamp":"noon"}', "unreadable_timestamp"),
        Case("null value", None, "null_value"),
        Case("oversized", padded(RECORD_BYTES_MAX + 1), "too_large"),
        Case("4 MB of nothing", padded(4 << 20), "too_large", codec=GZIP),
        Case("deep nesting", nested(100_000), "too_deep"),
        Case("a little too deep", EVENT[:-1] + b',"properties":' + nested(JSON_DEPTH_MAX) + b"}", "too_deep"),
        Case("bomb of keys", b"{" + keys + b"," + EVENT[1:], "too_many_keys"),
        Case("header name no text", EVENT, "bad_headers", headers=[(b"\xff\xfe", b"1"), (b"h", b"2")]),
        Case("the same, compressed", EVENT, "bad_headers", headers=[(b"\xff", b"1"), (b"h", None)], codec=GZIP),
        Case("gzip with a tail", EVENT, None, raw=batch(GARBAGE, 1, now_ms, GZIP)),
        Case("a bomb", bomb, "bad_batch", key=None, raw=batch(bomb, 1, now_ms, ZSTD)),
        Case("too many headers", EVENT, None, headers=[(b"h", b"1")] * (HEADERS_MAX + 1)),
        Case("a large header", EVENT, None, headers=[(b"h", b"x" * 500_000)]),
        Case("a header without value or name", EVENT, None, headers=[(b"", None)]),
    ]  # fmt: skip


def of_intake() -> list[Case]:
    text = b"a" * (ACCOUNT_ID_CHARS_MAX + 1)
    return [
        Case("missing account", HOMELESS, "missing_account"),
        Case("long account", EVENT.replace(b"acme", text), "account_too_long"),
        Case("null key", EVENT, None, key=None),
        Case("empty key", EVENT, None, key=b""),
        Case("key no text", EVENT, None, key=b"\xff"),
        Case("forged control", b"{}", "unknown_type", headers=[(CONTROL, b"clock")]),
    ]


def of_engagement() -> list[Case]:
    return [
        Case("null key", EVENT, "missing_account", key=None),
        Case("empty key", EVENT, "missing_account", key=b""),
        Case("key no text", EVENT, "not_utf8", key=b"\xff"),
        Case("long key", EVENT, "account_too_long", key=b"a" * (ACCOUNT_ID_CHARS_MAX + 1)),
        Case("unknown control", b"{}", "unknown_control", None, [(CONTROL, b"dance")]),
        Case("control of no kind", b"{}", "unknown_control", None, [(CONTROL, None)]),
        Case("control with a wrong time", b'{"at":"soon"}', "bad_control", None, [(CONTROL, b"clock")]),
        Case("control no JSON", b"{", "bad_control", None, [(CONTROL, b"erase")]),
        Case("control without value", None, "bad_control", None, [(CONTROL, b"clock")]),
    ]


async def send_all(settings: Settings, listed: dict[str, list[Case]], now_ms: int) -> None:
    """Each bad record between good ones, all in one partition."""
    async with wire(settings.kafka.bootstrap) as line:
        for topic, its_cases in listed.items():
            for number, case in enumerate(its_cases):
                code = await line.send(topic, PARTITION, case.batch(now_ms))
                assert code == 0, (case.name, code)
                good = batch(record(0, b"acme", GOOD % b"%d" % number), 1, now_ms)
                assert await line.send(topic, PARTITION, good) == 0


def letters(settings: Settings, topic: str) -> list[Any]:
    found = list(TopicReader(settings.kafka, topic).records())
    return sorted(found, key=lambda one: DeadLetter.from_headers(headers_of(one)).original_offset)


def require_letters(settings: Settings, topic: str, listed: Sequence[Case], stage: str, now_ms: int) -> None:
    """One dead letter for each bad record, in their order, with the reason and everything that it was."""
    found = letters(settings, f"{topic}.dlq")
    told = [DeadLetter.from_headers(headers_of(one)) for one in found]
    wanted = [(case, number) for number, case in enumerate(listed) if case.reason is not None]
    names = [(case.name, case.reason, 2 * number) for case, number in wanted]
    assert [(name, one.reason.value, one.original_offset) for one, (name, *_) in zip(told, names, strict=True)] == names
    for message, one, (case, _) in zip(found, told, wanted, strict=True):
        assert (one.original_topic, one.original_partition, one.stage) == (topic, PARTITION, stage), case.name
        assert one.detail, case.name
        assert one.first_seen == one.original_timestamp, case.name
        assert message.key() == case.key, case.name
        assert message.value() == (None if case.value is None else case.value[:DEAD_LETTER_VALUE_BYTES_MAX]), case.name
        kept = [
            (name.decode(), value)
            for name, value in case.headers
            if not name.startswith(b"\xff") and (name != CONTROL or stage != "intake")
        ]
        assert original_headers(headers_of(message)) == kept, case.name
        cut = case.value is not None and len(case.value) > DEAD_LETTER_VALUE_BYTES_MAX
        assert one.original_bytes == (len(case.value or b"") if cut else None), case.name


def test_whatever_is_on_the_wire_is_refused_with_its_reason_and_stops_nobody(
    deployment: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topics = Topics(deployment.kafka.topic_prefix)
    now_ms = time.time_ns() // 1_000_000
    product, account = [*cases(now_ms), *of_intake()], [*cases(now_ms), *of_engagement()]
    asyncio.run(send_all(deployment, {topics.product_events: product, topics.account_events: account}, now_ms))

    with workers(deployment, tmp_path, {"PEGEL_ENGAGEMENT__CLOCK": "off"}, "intake", "engagement") as running:
        accepted = len(product) + sum(1 for case in product if case.reason is None)

        wait_until_settled(running["intake"], 2 * len(product))
        wait_until_settled(running["engagement"], 2 * len(account) + accepted)
        for worker in running.values():
            worker.require_running()
        require_letters(deployment, topics.product_events, product, "intake", now_ms)
        require_letters(deployment, topics.account_events, account, "engagement", now_ms)
        events = [one for one in TopicReader(deployment.kafka, topics.account_events).records() if one.key() == b"acme"]
        goods = Counter(one.value() for one in events if one.value() is not None and b"messageId" in one.value())
        assert goods == Counter(
            GOOD % b"%d" % number for its_cases in (product, account) for number in range(len(its_cases))
        )
        require_history(deployment, topics, monkeypatch, running)
    assert (len(product), len(account)) == (27, 30)


def use(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands in this process find the broker."""
    monkeypatch.setenv("PEGEL_KAFKA__BOOTSTRAP", settings.kafka.bootstrap)
    monkeypatch.setenv("PEGEL_KAFKA__TOPIC_PREFIX", settings.kafka.topic_prefix)


def require_history(deployment: Settings, topics: Topics, monkeypatch: pytest.MonkeyPatch, running: Any) -> None:
    """What is tried again is taken if it can be by now, else it comes back and knows since when."""
    use(deployment, monkeypatch)
    before = {
        DeadLetter.from_headers(headers_of(one)).reason.value: DeadLetter.from_headers(headers_of(one))
        for one in letters(deployment, topics.product_events_dlq)
    }
    count = len(letters(deployment, topics.product_events_dlq))
    client = Producer({"bootstrap.servers": deployment.kafka.bootstrap})
    teach = {"type": "group", "messageId": "m-teach", "userId": "nobody", "groupId": "home"}
    client.produce(topics.product_events, json.dumps(teach).encode(), b"x", PARTITION)
    assert client.flush(30) == 0
    wait_for(lambda: b"home" in {one.key() for one in TopicReader(deployment.kafka, topics.account_events).records()})

    reasons = ("missing_account", "bad_headers", "too_deep")
    assert (
        run(["dlq", "retry", "product", "--yes", *(word for reason in reasons for word in ("--reason", reason))]) == 0
    )
    wait_for(lambda: len(letters(deployment, topics.product_events_dlq)) >= count + 2, *running.values())
    taken = [one for one in TopicReader(deployment.kafka, topics.account_events).records() if one.value() == HOMELESS]
    assert [one.key() for one in taken] == [b"home"]
    later = [DeadLetter.from_headers(headers_of(one)) for one in letters(deployment, topics.product_events_dlq)]
    again = [one for one in later if one.retries]
    assert [(one.reason.value, one.retries, one.first_seen) for one in again] == [
        ("too_deep", 1, before["too_deep"].first_seen)
    ] * 2


async def test_a_delivery_that_was_refused_is_made_by_a_retry_and_no_other_one_again(
    deployment: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topics = Topics(deployment.kafka.topic_prefix)
    use(deployment, monkeypatch)
    transitions = told(accounts=1, each=2)
    async with SlackStandIn(rate_limited=False, kept_max=100) as slack:
        slack.faults.append(Fault(status=400, body="invalid_payload"))

        def run_all() -> None:
            publish(deployment, transitions)
            with workers(deployment, tmp_path, environment(tmp_path, slack), "router", "courier") as running:
                wait_for(lambda: bool(letters(deployment, topics.transitions_dlq)), running["courier"])
                wait_for(lambda: ids(slack) == wanted_ids(transitions)[1:], running["courier"])
                for _ in range(2):
                    assert run(["dlq", "retry", "transitions", "--yes"]) == 0
                wait_for(lambda: len(ids(slack)) >= 2, running["courier"])
                wait_until_settled(running["router"], 3)
                wait_until_settled(running["courier"], 3)

        await asyncio.to_thread(run_all)
        assert ids(slack) == [wanted_ids(transitions)[1], wanted_ids(transitions)[0]]
        assert len(slack.attempts) == 3
