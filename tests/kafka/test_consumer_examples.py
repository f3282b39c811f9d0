"""The consumers in examples/ on a real broker: killed and started again, each handles each transition once.

All languages read the same topics at the same time, each in a group of its own. The records are written in
transactions, some of which are aborted; some come twice; one is an operator's retry; one account misses some; one is
erased; the last record is of a version that no example knows.
"""

import asyncio
import json
import random
import subprocess
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.dead_letter import RETRY_DELIVERY_HEADER
from schemas.membership import WireMembership, WireSegmentMembership
from schemas.timestamps import format_ms
from schemas.transition import Direction, WireTransition, encode_transition
from streams.dev.broker import Broker
from streams.engine.outgoing import transition_headers
from streams.runtime.partitioner import partition_of
from streams.runtime.transaction import COMPRESSION
from streams.settings import KafkaSettings, Settings
from streams.topic_admin import TopicAdmin
from streams.topics import Topics, specs
from tests.toolchains import java_classes, node_program, program

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

EXAMPLES: Final = Path(__file__).parents[2] / "examples" / "consumers"
LANGUAGES: Final = ("python", "java", "node")
ACCOUNTS: Final = 300
EACH: Final = 30
GAPPY: Final = "gappy"
ERASED: Final = "zeta ü"
KILLED_AFTER_LINES: Final = 300
PATIENCE_S: Final = 60.0
START_MS: Final = 1_772_323_200_000  # 2026-03-01

Entry = list[Any]
"""A line of a journal: account, sequence, transition_id, direction, segment."""


def transition(account: str, sequence: int) -> WireTransition:
    """The same for the same arguments, as the engine's are."""
    entered = sequence % 2 == 1
    at = format_ms(START_MS + sequence * 60_000)
    return WireTransition(
        transition_id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{account} {sequence}")),
        account_id=account,
        segment="trial",
        direction=Direction.ENTERED if entered else Direction.EXITED,
        group=None,
        from_segment=None,
        effective_at=at,
        sequence=sequence,
        catalog_version="abc",
        evidence={"values": {"stage": "trial"}},
        trigger="deadline",
        entered_at=None if entered else at,
        dwell_seconds=None if entered else 0.0,
        forecast=None,
        emitted_at=at,
    )


def headers_of(one: WireTransition) -> list[tuple[str, bytes]]:
    return transition_headers(one.transition_id.encode(), one.effective_at.encode(), one.account_id.encode())


def membership(told: WireTransition) -> WireMembership:
    """Where its account stands after it."""
    entered = told.direction is Direction.ENTERED
    segment = WireSegmentMembership(segment=told.segment, group=None, entered_at=told.effective_at)
    return WireMembership(
        account_id=told.account_id,
        as_of=told.effective_at,
        stage="trial",
        sequence=told.sequence,
        segments=[segment] if entered else [],
        key_numbers={},
        catalog_version="abc",
    )


def entry(account: str, sequence: int) -> Entry:
    """What a journal says of it."""
    told = transition(account, sequence)
    return [account, sequence, told.transition_id, told.direction.value, told.segment]


class Log:
    """Writes as workers do: in transactions, by key."""

    def __init__(self, settings: Settings) -> None:
        self.topics = Topics(settings.kafka.topic_prefix)
        self._partitions = settings.kafka.partitions
        self._newest: TopicPartition | None = None
        self._producer = Producer(
            {
                "bootstrap.servers": settings.kafka.bootstrap,
                "transactional.id": f"test-{uuid.uuid4().hex}",
                "compression.type": COMPRESSION,
            }
        )
        self._producer.init_transactions(30)

    def write(self, *records: WireTransition, abort: bool = False, more: Sequence[tuple[str, bytes]] = ()) -> None:
        self._producer.begin_transaction()
        for one in records:
            self._send(self.topics.transitions, one.account_id, encode_transition(one), [*headers_of(one), *more])
        self._end(abort=abort)

    def write_of_version(self, version: str, one: WireTransition) -> TopicPartition:
        """Returns where it lies."""
        self._producer.begin_transaction()
        headers = {**dict(headers_of(one)), "ce_type": f"pegel.segment.transition.{version}".encode()}
        self._send(self.topics.transitions, one.account_id, b"{}", list(headers.items()))
        self._end(abort=False)
        assert self._newest is not None
        return self._newest

    def write_with_memberships(self, *records: WireTransition, abort: bool = False) -> None:
        """Each with the membership that follows from it, as engagement does."""
        self.begin_with_memberships(*records)
        self._end(abort=abort)

    def begin_with_memberships(self, *records: WireTransition) -> None:
        self._producer.begin_transaction()
        for one in records:
            value = msgspec.json.encode(membership(one))
            self._send(self.topics.transitions, one.account_id, encode_transition(one), headers_of(one))
            self._send(self.topics.membership, one.account_id, value, [])
        self._producer.flush(30)

    def commit(self) -> None:
        self._end(abort=False)

    def write_membership(self, account: str, value: bytes | None) -> None:
        self._producer.begin_transaction()
        self._send(self.topics.membership, account, value, [])
        self._end(abort=False)

    def _send(self, topic: str, account: str, value: bytes | None, headers: list[tuple[str, bytes]]) -> None:
        key = account.encode()
        place = partition_of(key, self._partitions)
        self._producer.produce(topic, value, key, place, headers=headers, on_delivery=self._delivered)

    def _delivered(self, error: Any, message: Any) -> None:
        assert error is None, error
        self._newest = TopicPartition(message.topic(), message.partition(), message.offset())

    def _end(self, *, abort: bool) -> None:
        self._producer.flush(30)
        if abort:
            self._producer.abort_transaction(30)
        else:
            self._producer.commit_transaction(30)


class Running:
    """One example, which is killed and started again."""

    def __init__(self, command: list[str], settings: Settings, folder: Path) -> None:
        self._settings = settings
        self.group = f"{settings.kafka.topic_prefix}example-{folder.name}"
        self.journal = folder / "journal.ndjson"
        self._said = folder / "said.txt"
        self._command = [*command, settings.kafka.bootstrap, self.group, str(self.journal)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {"PATH": "/usr/bin:/bin", "TOPIC_PREFIX": self._settings.kafka.topic_prefix}
        with self._said.open("ab") as said:
            self._process = subprocess.Popen(self._command, env=environment, stdout=said, stderr=said)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def status(self) -> int | None:
        assert self._process is not None
        return self._process.poll()

    def said(self) -> str:
        return self._said.read_text(errors="replace")

    def lines(self) -> int:
        return self.journal.read_bytes().count(b"\n") if self.journal.exists() else 0

    def handled(self) -> dict[str, list[Entry]]:
        found: dict[str, list[Entry]] = defaultdict(list)
        for line in self.journal.read_text().splitlines():
            done = json.loads(line)
            found[done[0]].append(done)
        return dict(found)


@dataclass(frozen=True)
class Show:
    """What happened to one example."""

    running: Running
    lines_at_kill: int
    written: int
    status: int | None
    committed: int
    unknown_at: int


def command_of(language: str) -> list[str]:
    """How an example is run; skips, or fails in CI, where its tools are missing."""
    folder = EXAMPLES / language
    match language:
        case "python":
            return [sys.executable, str(folder / "consume.py")]
        case "java":
            return [program("java", "openjdk-17-jre-headless"), "-cp", java_classes(folder, "classes"), "Consume"]
        case _:
            return node_program(folder, "consume.mjs")


def until(
    condition: Callable[[], bool], *running: Running, patience_s: float = PATIENCE_S, pause_s: float = 0.02
) -> None:
    end = time.monotonic() + patience_s
    while not condition():
        for one in running:
            assert one.status() is None, one.said()
        assert time.monotonic() < end, [(one.lines(), one.said()[-500:]) for one in running]
        time.sleep(0.02)


def first_part(log: Log) -> int:
    """Transitions in random transactions; every third is aborted, and what it says comes again in the next one.

    Returns how many different ones are readable.
    """
    chance = random.Random(7)
    left = dict.fromkeys((*(f"account-{number}" for number in range(ACCOUNTS)), ERASED), 0)
    total = len(left) * EACH
    number = 0
    while left:
        names = chance.choices(sorted(left), k=chance.randint(1, 400))
        step: list[WireTransition] = []
        reached = dict(left)
        for account in names:
            if reached[account] < EACH:
                reached[account] += 1
                step.append(transition(account, reached[account]))
        number += 1
        if number % 3 == 0:  # two in a row, by the same producer: readers must leave out both
            log.write(*(told for told in step if told.sequence % 2), abort=True)
            log.write(*(told for told in step if told.sequence % 2 == 0), abort=True)
            continue
        log.write(*step, *step[: chance.randint(0, 5)])  # some come twice
        left = {account: reached[account] for account in left if reached[account] < EACH}
    return total


async def write_by_the_library_of_workers(settings: Settings, *records: WireTransition) -> None:
    """It packs Snappy in frames, where librdkafka does without them."""
    topic = Topics(settings.kafka.topic_prefix).transitions
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka.bootstrap,
        transactional_id=f"test-{uuid.uuid4().hex}",
        compression_type=COMPRESSION,
    )
    async with producer, producer.transaction():
        for one in records:
            key = one.account_id.encode()
            place = partition_of(key, settings.kafka.partitions)
            await producer.send(topic, encode_transition(one), key, place, headers=headers_of(one))


def second_part(log: Log, settings: Settings) -> None:
    """A repeat for the notifier alone, an account that misses some, and an account that is erased."""
    log.write(transition("account-1", 2), more=[(RETRY_DELIVERY_HEADER, b"d-1")])
    asyncio.run(
        write_by_the_library_of_workers(settings, transition(GAPPY, 3), transition(GAPPY, 4), transition(GAPPY, 7))
    )
    log.write_membership(ERASED, None)
    log.write_membership(ERASED, None)


def wanted() -> dict[str, list[Entry]]:
    found = {
        f"account-{number}": [entry(f"account-{number}", one) for one in range(1, EACH + 1)]
        for number in range(ACCOUNTS)
    }
    found[ERASED] = [*(entry(ERASED, one) for one in range(1, EACH + 1)), [ERASED, -1, "", "forgotten", ""]]
    found[GAPPY] = [entry(GAPPY, one) for one in (3, 4, 7)]
    return found


@contextmanager
def _laid_out(kafka: Broker) -> Iterator[Settings]:
    settings = Settings(kafka=KafkaSettings(bootstrap=kafka.bootstrap, topic_prefix=f"t{uuid.uuid4().hex[:10]}."))
    admin = TopicAdmin(settings.kafka)
    admin.apply(specs(settings))
    yield settings
    admin.delete(list(Topics(settings.kafka.topic_prefix).all()))


@pytest.fixture(scope="module")
def laid_out(kafka: Broker) -> Iterator[Settings]:
    with _laid_out(kafka) as settings:
        yield settings


@pytest.fixture
def laid_out_anew(kafka: Broker) -> Iterator[Settings]:
    with _laid_out(kafka) as settings:
        yield settings


@pytest.fixture(scope="module")
def shows(laid_out: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Show | str]]:
    """All examples through the same story at once; of those whose tools are missing, the reason."""
    folder = tmp_path_factory.mktemp("examples")
    running: dict[str, Running] = {}
    reasons: dict[str, Show | str] = {}
    for language in LANGUAGES:
        try:
            command = command_of(language)
        except pytest.skip.Exception as skipped:
            reasons[language] = str(skipped)
            continue
        (folder / language).mkdir()
        running[language] = Running(command, laid_out, folder / language)
    try:
        yield {**reasons, **_through(laid_out, running)}
    finally:
        for one in running.values():
            one.stop()


def _through(settings: Settings, running: dict[str, Running]) -> dict[str, Show]:
    log = Log(settings)
    written = first_part(log)
    killed: dict[str, int] = {}
    for one in running.values():
        one.start()
    while len(killed) < len(running):
        for language, one in running.items():
            if language not in killed and one.lines() >= KILLED_AFTER_LINES:
                one.kill()
                killed[language] = one.lines()
        assert all(one.status() is None or language in killed for language, one in running.items()), [
            one.said() for one in running.values()
        ]
        time.sleep(0.001)
    for one in running.values():
        with one.journal.open("ab") as journal:
            journal.write(b'["account-1",1')  # what a power cut leaves
        one.start()
    until(lambda: all(one.lines() == written for one in running.values()), *running.values())
    second_part(log, settings)
    until(lambda: all(one.lines() == written + 4 for one in running.values()), *running.values())
    unknown = log.write_of_version("v2", transition("account-2", EACH + 1))
    until(lambda: all(one.status() is not None for one in running.values()))
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap})
    return {
        language: Show(
            one, killed[language], written, one.status(), _committed(admin, one.group, unknown), unknown.offset
        )
        for language, one in running.items()
    }


def _committed(admin: AdminClient, group: str, place: TopicPartition) -> int:
    asked = ConsumerGroupTopicPartitions(group, [TopicPartition(place.topic, place.partition)])
    (found,) = admin.list_consumer_group_offsets([asked])[group].result(30).topic_partitions
    return int(found.offset)


@pytest.fixture(params=LANGUAGES)
def show(request: pytest.FixtureRequest, shows: dict[str, Show | str]) -> Show:
    found = shows[request.param]
    if isinstance(found, str):
        pytest.skip(found)
    return found


def test_each_transition_is_handled_once_and_in_order_though_the_example_is_killed_in_the_middle(show: Show) -> None:
    assert KILLED_AFTER_LINES <= show.lines_at_kill < show.written, "it was not killed in the middle"
    found, expected = show.running.handled(), wanted()
    assert found.keys() == expected.keys()
    for account, entries in expected.items():
        assert found[account] == entries, account


def test_transitions_that_are_missing_are_told(show: Show) -> None:
    assert [line for line in show.running.said().splitlines() if line.startswith("gap")] == [f"gap: {GAPPY} 5 to 6"]


def test_an_account_that_was_erased_is_forgotten_once(show: Show) -> None:
    assert show.running.handled()[ERASED][-1] == [ERASED, -1, "", "forgotten", ""]


def test_a_version_that_it_does_not_know_ends_it_with_the_place_and_is_not_committed(show: Show) -> None:
    assert show.status == 1
    last = show.running.said().splitlines()[-1]
    assert f":{show.unknown_at}: pegel.segment.transition.v2 is not version 1" in last
    marker = 1  # of the transaction before
    assert show.unknown_at - marker <= show.committed <= show.unknown_at


def test_a_reader_that_begins_with_memberships_misses_and_repeats_no_transition(laid_out_anew: Settings) -> None:
    """Though transactions are open, aborted and committed while it begins."""
    log, late = Log(laid_out_anew), Log(laid_out_anew)
    accounts = [f"account-{number}" for number in range(20)]
    for sequence in range(1, 6):
        log.write_with_memberships(*(transition(account, sequence) for account in accounts))
    log.write_with_memberships(*(transition(account, 6) for account in accounts), abort=True)
    late.begin_with_memberships(*(transition(account, 6) for account in accounts[:10]))
    reading = subprocess.Popen(
        [sys.executable, str(EXAMPLES / "python" / "bootstrap.py"), laid_out_anew.kafka.bootstrap],
        env={"TOPIC_PREFIX": laid_out_anew.kafka.topic_prefix}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert reading.stdout is not None
        stood = [reading.stdout.readline().split() for _ in accounts]
        late.commit()
        log.write_with_memberships(*(transition(account, 6) for account in accounts[10:]))
        log.write_with_memberships(*(transition(account, 7) for account in accounts))
        told = [reading.stdout.readline().split() for _ in range(2 * len(accounts))]
    finally:
        reading.kill()
        reading.wait()
    assert sorted(stood) == sorted(["stands", account, "5", "trial"] for account in accounts)
    for account in accounts:
        assert [line for line in told if line[1] == account] == [
            ["exited", account, "6", "trial"],
            ["entered", account, "7", "trial"],
        ]
