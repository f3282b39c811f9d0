"""The notifier under chaos: transitions at a steady pace, two destinations that now and then refuse, and the verdict.

Theory of operation. Router and courier are workers like the others and are broken like them. What is told cannot be
taken back, so the verdict is weaker than that of logs, and this is all of it. At each destination

* every transition arrived, once at least;
* of each account they arrived in order, counted by the first arrival;
* what arrived again did so around the end of a worker by force, or by its own failure, or around the standstill of one
  that was replaced; or its answer came too late to be known (an action says so: `retry_ambiguous`), as happens on a
  machine that is busy with all this. Who leaves in good order, joins, or meets brokers that are slow or away repeats
  nothing;
* the topic of actions says of each that it was delivered, once; nothing became a dead letter.
"""

import json
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Producer

from schemas.action import Reason
from schemas.timestamps import format_ms
from streams.control_log import now_ms
from streams.dev.slack import Fault, SlackStandIn, StoredMessage
from streams.dumping import TopicReader
from streams.notify.plan.delivery import delivery_id
from streams.settings import Settings
from streams.topics import Topics
from tests.chaos.crew import Crew
from tests.chaos.pipeline import Pipeline, pipeline_on
from tests.chaos.worlds import World
from tests.gameday.slack import slack
from tests.unit.notify.world import transition

DESTINATIONS: Final = ("team", "others")
ACCOUNTS: Final = 20
ANSWERS_MAX: Final = 200_000
ANSWER_S: Final = 0.02
REFUSED_SHARE: Final = 0.02
FLUSH_S: Final = 120.0
ARRIVED_WITHIN_S: Final = 300.0
POLL_S: Final = 0.2
NOTICED_WITHIN_S: Final = 5.0
"""A zombie that goes on learns by its next flush or heartbeat that it was replaced."""
REPEATS_A_MOMENT_MAX: Final = 60
"""What is under way, and what was taken since the last flush."""

PLAYBOOK: Final = "\n".join(
    (
        "format: 1",
        "name: chaos",
        "destinations:",
        *(
            f'  - {{id: {one}, type: slack, url: "${{{one.upper()}_URL}}", allow_http: true, rate_per_s: 100, '
            "in_flight_max: 4, timeout_s: 20}"
            for one in DESTINATIONS
        ),
        "templates:",
        '  plain: {title: "{{ account }} {{ sequence }}", body: "{{ segment | label }}"}',
        "plays:",
        *(f'  - {{id: to-{one}, segment: "*", template: plain, destination: {one}}}' for one in DESTINATIONS),
        "",
    )
)


@dataclass(frozen=True, slots=True)
class Arrival:
    at_s: float
    delivery_id: str
    account: str
    sequence: int


@dataclass
class Telling:
    """A deployment of routers and couriers, with where they write to."""

    pipeline: Pipeline
    arrived: dict[str, list[Arrival]] = field(default_factory=lambda: {one: [] for one in DESTINATIONS})
    told: list[dict[str, Any]] = field(default_factory=list)
    """Transitions that the brokers have."""

    @property
    def settings(self) -> Settings:
        return self.pipeline.settings

    @contextmanager
    def news(self, per_second: float) -> Iterator[None]:
        """Transitions in the background; the brokers have them all when the block is left."""
        stop = threading.Event()
        thread = threading.Thread(target=self._tell, args=(stop, 1 / per_second), name="news", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _tell(self, stop: threading.Event, pause_s: float) -> None:
        topic = Topics(self.settings.kafka.topic_prefix).transitions
        producer = Producer(
            {
                **self.settings.kafka.librdkafka(), "enable.idempotence": True, "partitioner": "murmur2_random",
                "log_level": 0,
            }
        )  # fmt: skip
        while not stop.wait(pause_s):
            sequence, account = divmod(len(self.told), ACCOUNTS)
            one = transition(f"account-{account}", sequence + 1, effective_at=format_ms(now_ms()))
            producer.produce(topic, json.dumps(one).encode(), one["account_id"].encode(), headers=[("ce_id", b"x")])
            producer.poll(0)
            self.told.append(one)
        assert producer.flush(FLUSH_S) == 0, "transitions were not taken"

    def note(self, destination: str, message: StoredMessage) -> None:
        account, sequence = message.text.split()
        self.arrived[destination].append(
            Arrival(time.monotonic(), str(message.delivery_id), account, int(sequence))
        )  # fmt: skip

    def wanted(self, destination: str) -> list[str]:
        return [delivery_id(destination, one["transition_id"], "plain") for one in self.told]

    def wait_until_told(self, crew: Crew) -> None:
        deadline = time.monotonic() + ARRIVED_WITHIN_S
        for destination in DESTINATIONS:
            wanted = set(self.wanted(destination))
            while missing := wanted - {one.delivery_id for one in self.arrived[destination]}:
                assert time.monotonic() < deadline, f"{len(missing)} of {destination} are missing:\n{crew.logs}"
                time.sleep(POLL_S)

    # -- verdict -----------------------------------------------------------------------------------------------------

    def require_right(self, moments: Sequence[float]) -> int:
        """Compare what arrived with what was told; `moments`: of workers' ends. Returns how much came again."""
        topics = Topics(self.settings.kafka.topic_prefix)
        actions = [(action["delivery_id"], action["reason"]) for action in self._values(topics.actions)]
        unsure = {name for name, reason in actions if reason == Reason.RETRY_AMBIGUOUS}
        repeats = sum(self._require_arrivals(one, moments, unsure) for one in DESTINATIONS)
        assert repeats <= REPEATS_A_MOMENT_MAX * len(moments) + len(unsure)
        delivered = Counter(name for name, reason in actions if reason == Reason.DELIVERED)
        assert delivered == Counter(name for one in DESTINATIONS for name in self.wanted(one))
        assert not list(self._values(topics.transitions_dlq))
        return repeats

    def _require_arrivals(self, destination: str, moments: Sequence[float], unsure: Collection[str]) -> int:
        arrived = list(self.arrived[destination])
        assert {one.delivery_id for one in arrived} == set(self.wanted(destination))
        last: dict[str, Arrival] = {}
        sequences: dict[str, list[int]] = defaultdict(list)
        for one in arrived:
            before = last.get(one.delivery_id)
            if before is None:
                sequences[one.account].append(one.sequence)
            else:
                assert one.delivery_id in unsure or explained(before.at_s, one.at_s, moments), (
                    f"{one} repeats {before}, and nobody had ended"
                )
            last[one.delivery_id] = one
        for account, found in sequences.items():
            assert found == sorted(found), f"{account} was told out of order at {destination}"
        return len(arrived) - len(last)

    def _values(self, topic: str) -> Iterator[dict[str, Any]]:
        for message in TopicReader(self.settings.kafka, topic).records():
            yield json.loads(message.value())


def explained(first_s: float, again_s: float, moments: Sequence[float]) -> bool:
    """Whether a worker's end or standstill lies between two arrivals, or shortly before."""
    return any(first_s - NOTICED_WITHIN_S <= moment <= again_s for moment in moments)


@contextmanager
def telling_on(world: World, folder: Path, seed: int) -> Iterator[Telling]:
    """A deployment of its own; no topic exists yet."""
    (folder / "playbook.yaml").write_text(PLAYBOOK)
    chance = random.Random(seed)
    variables = {"PEGEL_NOTIFY__PLAYBOOKS": str(folder / "playbook.yaml")}
    telling = Telling(pipeline_on(world, more=variables))
    with ExitStack() as stack:
        for one in DESTINATIONS:
            stand_in = SlackStandIn(
                rate_limited=False, on_message=lambda message, one=one: telling.note(one, message)  # type: ignore[misc]
            )  # fmt: skip
            stand_in.faults.extend(answer(chance) for _ in range(ANSWERS_MAX))
            variables[f"{one.upper()}_URL"] = stack.enter_context(slack(stand_in)).url
        yield telling


def answer(chance: random.Random) -> Fault:
    """What a destination says next; not so often no that its breaker opens."""
    return Fault(status=503, delay_s=ANSWER_S) if chance.random() < REFUSED_SHARE else Fault(delay_s=ANSWER_S)
