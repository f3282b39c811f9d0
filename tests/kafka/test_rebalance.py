"""Workers that come, go and die under load: totals stay exact, and how long partitions stand still is measured.

The pause of a partition is the longest time between two flushes of its outputs. It is printed (``pytest -s``); asserted
is only what a busy machine keeps too.
"""

import re
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import pytest
from confluent_kafka import Consumer, TopicPartition

from streams.dev.broker import Broker
from tests.kafka.toy import PARTITIONS, Toy, ToyProcess

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

SETTLED_WITHIN_S = 40.0
PER_SECOND = 2_000
ALL = list(range(PARTITIONS))

Pauses = dict[int, int]


@pytest.fixture
def toy(kafka: Broker, topic_prefix: str) -> Iterator[Toy]:
    deployment = Toy(kafka.bootstrap, topic_prefix)
    deployment.create_topics()
    yield deployment
    deployment.end()


def share(worker: ToyProcess) -> list[int]:
    """What a worker said last that it is at work on."""
    said = re.findall(r"ready: partitions \[(.*?)\]", "".join(worker.lines))
    return [int(number) for number in said[-1].split(", ") if number] if said else []


def logs(workers: Sequence[ToyProcess]) -> str:
    return "\n---\n".join(worker.log for worker in workers)


def settle(*workers: ToyProcess) -> dict[ToyProcess, list[int]]:
    """Wait until these workers share the partitions, all of them and evenly."""
    end = time.monotonic() + SETTLED_WITHIN_S
    while True:
        shares = {worker: share(worker) for worker in workers}
        sizes = {len(one) for one in shares.values()}
        if sorted(number for one in shares.values() for number in one) == ALL and max(sizes) - min(sizes) <= 1:
            return shares
        assert all(worker.running for worker in workers), logs(workers)
        assert time.monotonic() < end, logs(workers)
        time.sleep(0.1)


def flush_times(toy: Toy) -> dict[int, list[int]]:
    """When outputs were written, by partition: keys stand in the partition of their input."""
    consumer = Consumer(
        {
            "bootstrap.servers": toy.bootstrap,
            "group.id": "clock",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "enable.auto.commit": False,
        }
    )
    consumer.assign([TopicPartition(f"{toy.prefix}totals", number, 0) for number in ALL])
    times: dict[int, set[int]] = defaultdict(set)
    ended: set[int] = set()
    while len(ended) < PARTITIONS:
        for message in consumer.consume(10_000, 1.0):
            if message.error() is not None:
                ended.add(message.partition())
            else:
                times[message.partition()].add(message.timestamp()[1])
    consumer.close()
    return {number: sorted(found) for number, found in times.items()}


class Phases:
    """What was done when, and the pauses that it made."""

    def __init__(self, toy: Toy) -> None:
        self._toy = toy
        self._phases: list[tuple[str, int, int, set[int]]] = []

    def measure(self, name: str, act: Callable[[], set[int]]) -> None:
        """Do something that ends in a new balance and says which partitions moved."""
        begin = round(time.time() * 1000)
        moved = act()
        time.sleep(1.0)
        self._phases.append((name, begin, round(time.time() * 1000), moved))

    def pauses(self) -> dict[str, tuple[Pauses, Pauses]]:
        """By phase the longest pause of each partition that stayed, and of each that moved, in ms."""
        times = flush_times(self._toy)
        found = {}
        for name, begin, end, moved in self._phases:
            longest = {
                number: max(
                    min(later, end) - max(earlier, begin)
                    for earlier, later in zip(times[number], times[number][1:], strict=False)
                    if later > begin and earlier < end
                )
                for number in ALL
            }
            stayed = {number: pause for number, pause in longest.items() if number not in moved}
            found[name] = stayed, {number: longest[number] for number in moved}
            print(f"{name}: pauses in ms: stayed {sorted(stayed.values())}, moved {sorted(found[name][1].values())}")  # noqa: T201
        return found


def test_from_one_worker_to_three_and_back_nothing_is_lost_and_the_pause_is_short(toy: Toy) -> None:
    workers = [toy.worker()]
    phases = Phases(toy)

    def join() -> set[int]:
        workers.append(toy.worker())
        shares = settle(*workers)
        return set(shares[workers[-1]])

    def leave(number: int) -> Callable[[], set[int]]:
        def act() -> set[int]:
            worker = workers.pop()
            moved = set(share(worker))
            worker.kill(number)
            settle(*workers)
            return moved

        return act

    with toy.producing(PER_SECOND):
        settle(*workers)
        time.sleep(1.0)
        phases.measure("a second worker joins", join)
        phases.measure("a third worker joins", join)
        phases.measure("a worker is stopped", leave(signal.SIGTERM))
        phases.measure("a worker is killed", leave(signal.SIGKILL))
    toy.wait_until_done()
    toy.assert_exact()
    killed = phases.pauses()["a worker is killed"]
    assert max(killed[1].values()) > 1_000, "the group is not faster than its session: then nothing was measured"


def test_a_static_member_that_restarts_within_its_session_disturbs_nobody(toy: Toy) -> None:
    first, second = (toy.worker(instance_id=name, session_timeout_ms=30_000) for name in ("one", "two"))
    phases = Phases(toy)

    with toy.producing(PER_SECOND):
        shares = settle(first, second)
        lines_before = len(second.lines)
        time.sleep(1.0)

        def restart() -> set[int]:
            first.kill(signal.SIGTERM)
            assert first.wait() == 0
            again = toy.worker(instance_id="one", session_timeout_ms=30_000)
            assert settle(again, second)[again] == shares[first]
            return set(shares[first])

        phases.measure("a static member restarts", restart)
        said = second.lines[lines_before:]
    toy.wait_until_done()
    toy.assert_exact()
    stayed, moved = phases.pauses()["a static member restarts"]
    assert not any("ready" in line or "loading" in line for line in said), "the other one was rebalanced"
    assert max(stayed.values()) < max(moved.values()), "only who restarts stands still"
