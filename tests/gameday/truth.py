"""Whether anything was lost: logs compared with logs, while load goes on.

* intake: whatever the brokers had acknowledged to producers stands in the topic, and what stood in it when the look
  began stands in the account log or in the dead letters;
* engagement: the transitions of each account begin with those that a replay of the account log decides, whose end the
  workers have passed; `exactly`, when nothing comes any more, they are those;
* courier: every transition that the play names has arrived at Slack.
"""

import json
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

from streams.dumping import TopicReader
from streams.notify.plan.delivery import delivery_id
from tests.gameday.ground import DESTINATION, SEGMENT, TEMPLATE, Ground
from tests.kafka.test_pipeline import Transitions, by_account, written
from tests.kafka.workers import PEGEL, environment

DELIVERED_S: Final = 240.0
CANARY_PREFIX: Final = "pegel-canary-"
TOLD_MAX: Final = 3


@dataclass(frozen=True, slots=True)
class Truth:
    """What was compared, and what is wrong with it."""

    events: int
    transitions: int
    deliveries: int
    repeats: int
    """Messages that arrived once more: after an answer that did not come, it is sent again."""
    problems: tuple[str, ...]


def truth(ground: Ground, *, exactly: bool = False) -> Truth:
    acknowledged = Counter(ground.load.acknowledged)
    sent = _payloads(ground, ground.topics.product_events)
    problems = [*_some("acknowledged events are in no topic", acknowledged - sent)]
    if not exactly:
        ground.await_passed("intake", _ends(ground, ground.topics.product_events))
    log = _dumped_log(ground)
    passed = _passed_on(log) + _payloads(ground, ground.topics.product_events_dlq)
    problems += _some("events were lost by intake", sent - passed)
    if not exactly:
        ground.await_passed("engagement", _ends(ground, ground.topics.account_events))
    found, wanted = written(ground.settings), _replayed(ground, log)
    problems += _differences(found, wanted, exactly=exactly)
    told = _to_be_told(found)
    arrived = ground.slack.arrived()
    if not exactly:
        ground.await_that(lambda: told <= set(ground.slack.arrived()), "messages at Slack", DELIVERED_S)
        arrived = ground.slack.arrived()
    problems += _some("messages did not arrive", Counter(told - set(arrived)))
    repeats = sum((Counter(one for one in arrived if one in told) - Counter(told)).values())
    return Truth(sent.total(), sum(map(len, found.values())), len(told), repeats, tuple(problems))


def _differences(found: Transitions, wanted: Transitions, *, exactly: bool) -> list[str]:
    wrong = [
        account
        for account in wanted.keys() | (found.keys() if exactly else set())
        if (found.get(account, []) if exactly else found.get(account, [])[: len(wanted[account])])
        != wanted.get(account, [])
    ]
    return _some("accounts differ from the replay of their log", Counter(wrong))


def _some(what: str, those: Mapping[Any, int]) -> list[str]:
    return [f"{sum(those.values())} {what}, as {list(those)[:TOLD_MAX]}"] if those else []


def _to_be_told(found: Transitions) -> set[str]:
    return {
        delivery_id(DESTINATION, one["transition_id"], TEMPLATE)
        for one in chain.from_iterable(found.values())
        if one["segment"] == SEGMENT
        and one["direction"] == "entered"
        and not one["account_id"].startswith(CANARY_PREFIX)
    }


def _ends(ground: Ground, topic: str) -> dict[int, int]:
    return {number: end for number, (_, end) in TopicReader(ground.settings.kafka, topic).extents().items()}


def _payloads(ground: Ground, topic: str) -> Counter[int]:
    return Counter(hash(message.value()) for message in TopicReader(ground.settings.kafka, topic).records())


def _dumped_log(ground: Ground) -> Path:
    path = ground.folder / "log.ndjson"
    with path.open("wb") as file:
        subprocess.run(
            [*PEGEL, "dump", ground.topics.account_events],
            env=environment(ground.settings), stdout=file, stderr=subprocess.DEVNULL, check=True,
        )  # fmt: skip
    return path


def _passed_on(log: Path) -> Counter[int]:
    found: Counter[int] = Counter()
    with log.open("rb") as lines:
        for line in lines:
            record = json.loads(line)
            if "payload" in record and record["payload"] is not None:
                found[hash(record["payload"].encode())] += 1
    return found


def _replayed(ground: Ground, log: Path) -> Transitions:
    """Refused records make it end with 1, as they should."""
    done = subprocess.run(
        [*PEGEL, "replay", str(log)], env=environment(ground.settings), capture_output=True, check=False
    )
    assert done.returncode in {0, 1}, done.stderr.decode()
    return by_account(done.stdout.splitlines())
