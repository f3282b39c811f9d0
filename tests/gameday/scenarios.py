"""The faults: how each is caused, which alerts must fire, and what their runbook says to do.

What spoils the freshness of much that comes after stands last: budgets remember it for hours.

`look` is the runbook's first look, while the fault is there; `mend` is its action. What takes the fault away by hand -
the sender that is stopped, the disk that is replaced - is part of `mend` and told as what it is.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from confluent_kafka import Producer

from deploy.prometheus import delivery, workers
from deploy.prometheus.canary import UNSEEN_S
from tests.chaos.proxy import HEALTHY, Fault, FaultKind
from tests.gameday.ground import BROKER_S, DESTINATION, ENGAGEMENT, Ground
from tests.gameday.load import HOT_ACCOUNT, WELL, Dials, bad_record

RUNBOOKS: Final = Path(__file__).parents[2] / "docs" / "runbooks"
PAGE: Final = "page"
TICKET: Final = "ticket"
AHEAD_H: Final = 3
HOT_PER_S: Final = 150
BAD_SHARE: Final = 0.35
AHEAD_SHARE: Final = 0.2
FLOOD_RECORDS: Final = 6_000
FLOODED_S: Final = 60
DISK_DELAY_MS: Final = 150
FINDINGS_TOLD_MAX: Final = 2
UNCAPPED: Final = {"PEGEL_ENGAGEMENT__REJECT_RATIO_MAX": "1"}

STANDS_STILL: Final = frozenset(
    {
        "PegelStageDown", "PegelPartitionsUnowned", "PegelLagGrowing", "PegelDeadlinesOverdue", "PegelCanaryBroken",
        "PegelFreshnessBudgetBurn",
    }
)  # fmt: skip
"""What is felt of a stage that does not work, in whichever order."""
TAKEN_OVER: Final = frozenset({"PegelFreshnessBudgetBurn", "PegelPartitionsUnowned"})
"""Until its session is over, which at this pace is minutes, nobody has the partitions of a worker that is gone."""


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    fault: str
    """What is done, for the page."""
    runbook: str
    expected: Mapping[str, str]
    """Severity of each alert that must fire."""
    cause: Callable[[Ground], None]
    look: Callable[[Ground], None]
    mend: Callable[[Ground], None]
    follows: frozenset[str] = frozenset()
    """Pages that the fault explains too."""


WAITS_S: Final[Mapping[str, float]] = {
    "PegelCanaryBroken": UNSEEN_S,
    "PegelUndelivered": delivery.UNDELIVERED_S,
    "PegelBrokersSilent": workers.SILENT_S,
}
"""How old something must be, at the usual pace, before the condition of its alert holds."""


def doctor(ground: Ground) -> None:
    ground.run("pegel doctor", doctor_note)


def doctor_note(text: str) -> str:
    found = [line.split(maxsplit=2) for line in text.splitlines() if line.startswith(("fail", "warn"))]
    told = [f"{level}: {check}: {reason}" for level, check, reason in found[:FINDINGS_TOLD_MAX]]
    return "; ".join(told) or ("all is well" if text else "")


# -- workers -------------------------------------------------------------------------------------------------------


def _lose_one(ground: Ground) -> None:
    ground.crew.lose(ENGAGEMENT[1])


def _start_one(ground: Ground) -> None:
    ground.start(ENGAGEMENT[1])
    ground.did("start the worker", "ready")


def _lose_all(ground: Ground) -> None:
    for name in ENGAGEMENT:
        ground.crew.lose(name)


def _start_all(ground: Ground) -> None:
    ground.start(*ENGAGEMENT)
    ground.did("start the workers of the stage", "ready")


# -- brokers -------------------------------------------------------------------------------------------------------


def _kill_broker(ground: Ground) -> None:
    ground.world.brokers.servers[0].kill()


def _start_broker(ground: Ground) -> None:
    ground.world.brokers.servers[0].start(BROKER_S)
    ground.did("start the broker; workers come back by themselves", "it takes requests")


def _slow_disk(ground: Ground) -> None:
    ground.suffer(Fault(FaultKind.LATENCY, delay_ms=DISK_DELAY_MS))


def _look_at_flushes(ground: Ground) -> None:
    """The runbook's question: every stage at once, and the commits?"""
    slow = "histogram_quantile(0.99, sum by (stage, le) (rate(pegel_{}_duration_seconds_bucket[20s])))"
    told = [
        f"{what} {labels['stage']} {value:.1f} s"
        for what in ("flush", "commit")
        for labels, value in ground.watch.query(slow.format(what))
        if value == value  # noqa: PLR0124 - not NaN, which a stage without flushes has
    ]
    ground.did("the 99th percentiles of flushes and commits", ", ".join(told))
    doctor(ground)


def _quick_disk(ground: Ground) -> None:
    ground.suffer(HEALTHY)
    ground.did("every stage at once, and the commits: Kafka's incident; its disk is replaced")


# -- poison --------------------------------------------------------------------------------------------------------


def _poison_producers(ground: Ground) -> None:
    ground.load.dials = Dials(bad_share=BAD_SHARE)


def _look_at_letters(ground: Ground) -> None:
    ground.run("pegel dlq list product --since 1h --summary", _first_lines)


def _stop_poison(ground: Ground) -> None:
    ground.load.dials = WELL
    ground.did("roll back the producer that the letters name")
    for reason in ("not_json", "unknown_type", "missing_account"):
        ground.run(f"pegel dlq drop product --reason {reason} --note 'game day' --yes", _dropped)


def _dropped(text: str) -> str:
    return f"{text.count('dropped'):,} dropped"


def _poison_log(ground: Ground) -> None:
    """By somebody who may write to the log and should not."""
    producer = Producer({"bootstrap.servers": ground.settings.kafka.bootstrap, "log_level": 0})
    for number in range(FLOOD_RECORDS):
        partition = number % ground.settings.kafka.partitions
        producer.produce(ground.topics.account_events, bad_record(0), b"poison", partition=partition)
        producer.poll(0)
    assert producer.flush(FLOODED_S) == 0


def _look_at_stops(ground: Ground) -> None:
    said = [line for name in ENGAGEMENT for line in ground.crew.log_text(name).splitlines() if "were refused" in line]
    found = re.search(r"\d+ of the last \d+ records were refused", said[-1]) if said else None
    ground.did("the end of the workers' log", found[0] if found else "says nothing of refusals")
    doctor(ground)


def _let_through(ground: Ground) -> None:
    ground.did("the sender is stopped, its right to write taken away")
    ground.restart_with(ENGAGEMENT, UNCAPPED)
    ground.await_caught_up("engagement")
    ground.did(f"restart the workers with `{next(iter(UNCAPPED))}=1`, wait until their lag is 0")
    for name in ENGAGEMENT:  # one at a time: its partitions stand still for as long as it takes
        ground.restart_with([name], {})
    ground.did("restart them without it", "ready")
    ground.run("pegel dlq drop account --reason not_json --note 'game day' --yes", _dropped)


# -- Slack ---------------------------------------------------------------------------------------------------------


def _look_at_destination(ground: Ground) -> None:
    ground.run("pegel destination list", _first_lines)
    ground.run(f"pegel deliveries list --destination {DESTINATION} --limit 5")
    ground.run(f"pegel destination test {DESTINATION}")


def _slack_vanishes(ground: Ground) -> None:
    ground.slack.vanish()


def _slack_returns(ground: Ground) -> None:
    ground.slack.start()
    _hurry(ground)


def _slack_fails(ground: Ground) -> None:
    ground.slack.fail()


def _slack_recovers(ground: Ground) -> None:
    ground.slack.recover()
    _hurry(ground)


def _hurry(ground: Ground) -> None:
    """Nothing has to be done. One delivery's backoff is ended, which closes no breaker."""
    ground.did("the provider is back")
    found = re.search(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", ground.run("pegel deliveries list --json"))
    if found:
        ground.run(f"pegel deliveries retry {found[0]}")


# -- producers -----------------------------------------------------------------------------------------------------


def _clock_ahead(ground: Ground) -> None:
    ground.load.dials = Dials(ahead_share=AHEAD_SHARE, ahead_ms=AHEAD_H * 3_600_000)


def _look_for_clock(ground: Ground) -> None:
    ground.run(dump_of("clock-skew"), lambda text: f"{len(text.splitlines())} of 100 events are ahead")


def _set_clock(ground: Ground) -> None:
    ground.load.dials = WELL
    ground.did("set that producer's clock")


def _hot(ground: Ground) -> None:
    ground.load.dials = Dials(hot_per_s=HOT_PER_S)


def _look_for_hot(ground: Ground) -> None:
    told = ground.run(dump_of("evictions"), lambda text: text.splitlines()[0] if text else "nothing")
    assert HOT_ACCOUNT in told.splitlines()[0], f"the runbook's command does not find the account: {told}"
    ground.run(f"pegel explain {HOT_ACCOUNT} --from-kafka")


def _cool(ground: Ground) -> None:
    ground.load.dials = WELL
    ground.did("a catch-all account: its events are not sent any more")


def dump_of(page: str) -> str:
    """The pipeline of a runbook's first look, as it stands there."""
    found = re.search(r"^pegel dump [^']*'[^']*'", (RUNBOOKS / f"{page}.md").read_text(), re.MULTILINE)
    assert found is not None, f"{page} has no such command"
    return found[0]


def _first_lines(text: str) -> str:
    return "; ".join(" ".join(line.split()) for line in text.splitlines()[:3])


SCENARIOS: Final = (
    Scenario(
        "worker-lost", "one of two engagement workers is killed (-9) and stays away", "worker-down",
        {"PegelWorkerDown": TICKET}, _lose_one, doctor, _start_one, TAKEN_OVER,
    ),
    Scenario(
        "clock-skew", f"{AHEAD_SHARE:.0%} of the events come from a clock that is {AHEAD_H} h ahead", "clock-skew",
        {"PegelClockSkew": TICKET}, _clock_ahead, _look_for_clock, _set_clock,
    ),
    Scenario(
        "hot-account",
        f"an account makes {HOT_PER_S} events a second, five times all others, each of another user and name",
        "evictions", {"PegelEvictions": TICKET}, _hot, _look_for_hot, _cool,
    ),
    Scenario(
        "poison-producers", f"{BAD_SHARE:.0%} of what producers send is broken", "intake-budget-burn",
        {"PegelIntakeBudgetBurn": PAGE, "PegelRejectsFlood": TICKET},
        _poison_producers, _look_at_letters, _stop_poison,
    ),
    Scenario(
        "slack-refused", "Slack refuses connections", "undelivered",
        {"PegelUndelivered": PAGE, "PegelBreakerOpen": TICKET},
        _slack_vanishes, _look_at_destination, _slack_returns,
    ),
    Scenario(
        "slack-500", "Slack answers 500", "undelivered",
        {"PegelUndelivered": PAGE, "PegelBreakerOpen": TICKET},
        _slack_fails, _look_at_destination, _slack_recovers,
    ),
    Scenario(
        "slow-disk",
        f"a proxy holds back each chunk between workers and broker for {DISK_DELAY_MS} ms, for a slow disk",
        "flush-slow", {"PegelFlushSlow": TICKET}, _slow_disk, _look_at_flushes, _quick_disk, STANDS_STILL,
    ),
    Scenario(
        "stage-down", "both engagement workers are killed (-9) and stay away", "stage-down",
        {"PegelStageDown": PAGE, "PegelCanaryBroken": PAGE}, _lose_all, doctor, _start_all, STANDS_STILL,
    ),
    Scenario(
        "broker-down", "the broker is killed (-9)", "brokers-silent",
        {"PegelBrokersSilent": PAGE, "PegelStageDown": PAGE, "PegelCanaryBroken": PAGE},
        _kill_broker, doctor, _start_broker, STANDS_STILL,
    ),
    Scenario(
        "poison-log", f"{FLOOD_RECORDS:,} broken records are written into account.events.v1 itself", "rejects-flood",
        {"PegelStageDown": PAGE, "PegelCanaryBroken": PAGE}, _poison_log, _look_at_stops, _let_through, STANDS_STILL,
    ),
)  # fmt: skip
