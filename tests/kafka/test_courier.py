"""The courier on real Kafka: what is open and what is gathered outlives it, and one dead destination harms no other."""

import asyncio
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer

from schemas.membership import WireMembership, WireSegmentMembership
from streams.dev.slack import Fault, SlackStandIn
from streams.notify.courier.outbox import Wanted
from streams.notify.courier.reading import KafkaReadings
from streams.notify.plan.roster import RosterRequest
from streams.runtime.partitioner import partition_of
from streams.settings import Settings
from streams.topics import Topics
from tests.kafka.test_notifier import dumped, publish, require_order, told
from tests.kafka.workers import wait_for, workers

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

PLAYBOOK = """\
format: 1
name: test
destinations:
  - {id: well, type: slack, url: "${WELL_URL}", allow_http: true, rate_per_s: 200, timeout_s: 2}
  - {id: dead, type: slack, url: "${DEAD_URL}", allow_http: true, rate_per_s: 200, timeout_s: 2}
  - id: digest
    type: slack
    url: "${DIGEST_URL}"
    allow_http: true
    group: {wait_s: 8, interval_s: 2, by: [segment], max: 60}
templates:
  plain: {title: "{{ account }} {{ sequence }}", body: "{{ segment }}"}
plays:
  - {id: to-well, segment: "*", template: plain, destination: well, max_age_h: 8784}
  - {id: to-dead, segment: "*", template: plain, destination: dead, max_age_h: 8784}
  - {id: to-digest, segment: "*", template: plain, destination: digest, max_age_h: 8784}
"""


def count(slack: SlackStandIn) -> int:
    return len({message.delivery_id for message in slack.messages})


def waiting(settings: Settings, kind: str) -> int:
    """Rows of a kind in the courier's changelog that are no tombstones."""
    rows = {}
    for record in dumped(settings, Topics().deliveries_changelog):
        rows[record["key"]] = record.get("payload_base64") or record["payload"]
    return sum(1 for key, row in rows.items() if key and key.startswith(kind) and row is not None)


async def test_one_dead_destination_harms_no_other_and_what_waits_outlives_the_worker_digests_too(
    deployment: Settings, tmp_path: Path
) -> None:
    transitions = told(accounts=20, each=3)
    async with (
        SlackStandIn(rate_limited=False, kept_max=1_000) as well,
        SlackStandIn(rate_limited=False, kept_max=1_000) as dead,
        SlackStandIn(rate_limited=False, kept_max=1_000) as digest,
    ):
        dead.faults.extend([Fault(status=503)] * 100_000)
        (tmp_path / "playbook.yaml").write_text(PLAYBOOK)
        env = {
            "PEGEL_NOTIFY__PLAYBOOKS": str(tmp_path / "playbook.yaml"), "WELL_URL": well.url(), "DEAD_URL": dead.url(),
            "DIGEST_URL": digest.url(),
        }  # fmt: skip

        def run() -> None:
            with workers(deployment, tmp_path, env, "router", "courier") as running:
                courier = running["courier"]
                publish(deployment, transitions)
                wait_for(lambda: count(well) == len(transitions), courier)
                wait_for(lambda: waiting(deployment, "d:dead:") == len(transitions), courier)
                wait_for(lambda: waiting(deployment, "p:digest:w/") == len(transitions), courier)
                courier.kill()
                assert len(digest.messages) == 0
                read_back(deployment, len(transitions))
                dead.faults.clear()
                courier.start()
                wait_for(lambda: count(dead) == len(transitions), courier)
                wait_for(lambda: waiting(deployment, "p:digest:w/") == 0, courier)
                wait_for(lambda: waiting(deployment, "d:") == 0, courier)

        await asyncio.to_thread(run)
        require_order(well)
        require_order(dead)
        assert max(Counter(message.delivery_id for message in dead.messages).values()) == 1
        # One message instead of sixty.
        assert [message.text for message in digest.messages] == ["60 changes: At risk"]


def read_back(settings: Settings, wanted: int) -> None:
    """What a worker would find that has no room for all: the first ones, in order, from any place on."""
    topics = Topics(settings.kafka.topic_prefix)
    readings = KafkaReadings(settings.kafka, topics, partition_of(b"dead", settings.kafka.partitions))
    every = readings.spilled(Wanted("dead", 0, 1_000))
    assert (len(every.deliveries), every.more, every.complete) == (wanted, 0, True)
    some = readings.spilled(Wanted("dead", 5, 10))
    assert [one.order for one in some.deliveries] == list(range(5, 15))
    assert some.more >= wanted - 15  # rows that were rewritten count as often
    assert not some.complete


def test_a_list_is_of_those_who_are_in_the_segment_by_the_last_word_of_the_topic(deployment: Settings) -> None:
    topics = Topics(deployment.kafka.topic_prefix)

    def membership(account: str, *segments: str) -> bytes:
        wire = WireMembership(
            account_id=account, as_of="2026-03-01T00:00:00.000Z", stage="trial", sequence=1,
            segments=[
                WireSegmentMembership(segment=one, group=None, entered_at="2026-02-01T00:00:00Z") for one in segments
            ],
            key_numbers={"rate": 0.5}, catalog_version="v1",
        )  # fmt: skip
        return msgspec.json.encode(wire)

    producer = Producer({"bootstrap.servers": deployment.kafka.bootstrap, "partitioner": "murmur2_random"})
    for account, value in (
        ("stays", membership("stays", "expiring_trial", "new")), ("left", membership("left", "expiring_trial")),
        ("erased", membership("erased", "expiring_trial")), ("never", membership("never", "new")),
        ("left", membership("left", "new")), ("erased", None), ("came", membership("came", "new")),
        ("came", membership("came", "expiring_trial")),
    ):  # fmt: skip
        producer.produce(topics.membership, value, account.encode())
    assert producer.flush(30) == 0
    found = KafkaReadings(deployment.kafka, topics, 0).members(RosterRequest("morning", "expiring_trial", 0))
    assert sorted(one.account_id for one in found) == ["came", "stays"]
    assert {msgspec.json.encode(one.key_numbers) for one in found} == {b'{"rate":0.5}'}
