"""The notifier on real Kafka, as a process that is killed: what arrives at a Slack that misbehaves."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from schemas.dead_letter import DeadLetter
from streams.dev.slack import Fault, SlackStandIn
from streams.notify.plan.delivery import delivery_id
from streams.settings import Settings
from streams.topics import Topics
from tests.kafka.workers import WorkerProcess, pegel, wait_for, wait_until_settled, workers
from tests.unit.notify.world import transition

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

NOTIFIER = ("router", "courier")

PLAYBOOK = """\
format: 1
name: test
destinations:
  - {id: team, type: slack, url: "${TEAM_URL}", allow_http: true, rate_per_s: 100, in_flight_max: 4, timeout_s: 2}
templates:
  plain: {title: "{{ account }} {{ sequence }}", body: "{{ account | bold }} {{ segment | label }}"}
plays:
  - {id: all, segment: "*", template: plain, destination: team, max_age_h: 8784}
"""


def told(accounts: int, each: int) -> list[dict[str, Any]]:
    return [
        transition(f"account-{account}", sequence, effective_at="2026-11-01T00:00:00.000Z")
        for sequence in range(1, each + 1)
        for account in range(accounts)
    ]


def publish(settings: Settings, transitions: Sequence[dict[str, Any] | bytes]) -> None:
    producer = Producer({"bootstrap.servers": settings.kafka.bootstrap, "partitioner": "murmur2_random"})
    topic = Topics(settings.kafka.topic_prefix).transitions
    for one in transitions:
        key, value = (b"?", one) if isinstance(one, bytes) else (one["account_id"].encode(), json.dumps(one).encode())
        producer.produce(topic, value, key, headers=[("ce_id", b"x")])
    assert producer.flush(30) == 0


def dumped(settings: Settings, topic: str) -> list[dict[str, Any]]:
    done = pegel(settings, "dump", topic)
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


def environment(tmp_path: Path, slack: SlackStandIn) -> dict[str, str]:
    (tmp_path / "playbook.yaml").write_text(PLAYBOOK)
    return {"PEGEL_NOTIFY__PLAYBOOKS": str(tmp_path / "playbook.yaml"), "TEAM_URL": slack.url()}


def ids(slack: SlackStandIn) -> list[str]:
    return [str(message.delivery_id) for message in slack.messages]


def wanted_ids(transitions: Sequence[dict[str, Any]]) -> list[str]:
    return [delivery_id("team", one["transition_id"], "plain") for one in transitions]


def require_order(slack: SlackStandIn) -> None:
    """By its first arrival, each account was told in the order of its transitions."""
    seen: dict[str, list[int]] = defaultdict(list)
    for message in slack.messages:
        account, sequence = message.text.split()
        if int(sequence) not in seen[account]:
            seen[account].append(int(sequence))
    for sequences in seen.values():
        assert sequences == sorted(sequences)


def until_received(slack: SlackStandIn, count: int, worker: WorkerProcess) -> None:
    wait_for(lambda: len(set(ids(slack))) >= count, worker, timeout_s=120)


async def test_whatever_fails_and_whenever_it_is_killed_every_message_arrives_in_order(
    deployment: Settings, tmp_path: Path
) -> None:
    transitions = told(accounts=20, each=15)
    async with SlackStandIn(rate_limited=False, kept_max=10_000) as slack:
        well = Fault(delay_s=0.05)
        slack.faults.extend([well] * 10 + [Fault(status=429, retry_after="1")] + [well] * 20 + [Fault(status=503)] * 3)
        slack.faults.extend([well] * 5 + [Fault(drop=True, commit=True), Fault(drop=True), Fault(delay_s=3.0)])
        slack.faults.extend([well] * 280 + [Fault(status=502), Fault(drop=True)] + [well] * 1_000)
        env = environment(tmp_path, slack)

        def run() -> None:
            publish(deployment, transitions)
            with workers(deployment, tmp_path, env, *NOTIFIER) as running:
                courier = running["courier"]
                for count in (30, 90, 200):
                    until_received(slack, count, courier)
                    courier.kill()
                    courier.start()
                    if count == 90:
                        running["router"].kill()
                        running["router"].start()
                until_received(slack, len(transitions), courier)
                wait_until_settled(running["router"], len(transitions))
                wait_until_settled(courier, len(transitions))

        await asyncio.to_thread(run)
        received = Counter(ids(slack))
        assert received.keys() == set(wanted_ids(transitions))
        require_order(slack)
        # Repeated: what was taken less than a flush before each of three kills, and what was taken without an answer.
        assert sum(received.values()) - len(received) <= 3 * 60 + 2

        before = len(slack.attempts)

        def run_again() -> None:
            with workers(deployment, tmp_path, env, *NOTIFIER) as running:
                wait_until_settled(running["courier"], len(transitions))

        await asyncio.to_thread(run_again)
        assert len(slack.attempts) == before

    actions = [
        json.loads(record["payload"]) for record in await asyncio.to_thread(dumped, deployment, "playbook.actions.v1")
    ]
    delivered = Counter(action["delivery_id"] for action in actions if action["outcome"] == "delivered")
    assert delivered == Counter(wanted_ids(transitions))
    assert {action["reason"] for action in actions} >= {"delivered", "retry_destination", "retry_ambiguous"}
    rows: dict[str, Any] = {}
    for record in await asyncio.to_thread(dumped, deployment, "notify.deliveries.v1.changelog"):
        rows[record["key"]] = record.get("payload_base64") or record["payload"]
    assert len(rows) > 1
    assert not [key for key, row in rows.items() if row is not None and key.startswith(("d:", "s:"))]


async def test_a_clean_restart_in_the_middle_repeats_nothing(deployment: Settings, tmp_path: Path) -> None:
    transitions = told(accounts=10, each=12)
    async with SlackStandIn(rate_limited=False, kept_max=10_000) as slack:
        slack.faults.extend([Fault(delay_s=0.3)] * 10_000)
        env = environment(tmp_path, slack)

        def run() -> None:
            publish(deployment, transitions)
            for count in (20, 50, len(transitions)):
                with workers(deployment, tmp_path, env, "notifier") as running:
                    until_received(slack, count, running["notifier"])

        await asyncio.to_thread(run)
        assert Counter(ids(slack)) == Counter(wanted_ids(transitions))
        assert len(slack.attempts) == len(transitions)
        require_order(slack)


async def test_what_cannot_be_delivered_ends_in_the_dead_letters_with_its_bytes_and_the_reason(
    deployment: Settings, tmp_path: Path
) -> None:
    good = told(accounts=1, each=3)
    async with SlackStandIn(rate_limited=False, kept_max=100) as slack:
        slack.faults.append(Fault(status=400, body="invalid_payload"))
        env = environment(tmp_path, slack)

        def run() -> None:
            publish(deployment, [b"{broken", *good])
            with workers(deployment, tmp_path, env, *NOTIFIER) as running:
                until_received(slack, 2, running["courier"])
                wait_until_settled(running["router"], 4)
                wait_until_settled(running["courier"], 3)

        await asyncio.to_thread(run)
        assert ids(slack) == wanted_ids(good)[1:]
    letters = await asyncio.to_thread(dumped, deployment, "segments.transitions.v1.dlq")
    by_reason = {}
    for letter in letters:
        names, values = letter["headers"][::2], letter["headers"][1::2]
        headers = [(name, value.encode()) for name, value in zip(names, values, strict=True)]
        by_reason[DeadLetter.from_headers(headers).reason.value] = (letter, dict(headers))
    assert by_reason.keys() == {"not_json", "rejected"}
    assert by_reason["not_json"][0]["payload"] == "{broken"
    assert json.loads(by_reason["rejected"][0]["payload"]) == good[0]
    assert by_reason["rejected"][1]["pegel-delivery-id"].decode() == wanted_ids(good)[0]
