"""Which alerts fired, when, and whether they were the right ones.

Looks are taken all the time: what is firing at a moment. An alert counts for a scenario if it began to fire after the
fault did; what still fires from before is nobody's news. An expected alert must fire. A page that fires must be
expected, or be named as what follows from the fault: else it would have woken somebody with the wrong words. Tickets
wake nobody, so they are listed and not judged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

PAGE: Final = "page"
FIRING: Final = "firing"
PENDING: Final = "pending"
SUBJECT_LABELS: Final = ("stage", "destination", "instance", "collection", "outcome", "window")


@dataclass(frozen=True, slots=True, order=True)
class Alarm:
    """One alert of Prometheus, with what it is about."""

    name: str
    severity: str
    subject: str = ""

    @property
    def is_page(self) -> bool:
        return self.severity == PAGE


@dataclass(frozen=True, slots=True)
class Look:
    """What fires at a moment, and what will if it holds."""

    at_s: float
    firing: frozenset[Alarm]
    pending: frozenset[Alarm] = frozenset()


@dataclass(frozen=True, slots=True)
class Fired:
    """An alert of a scenario, in seconds since the fault; `gone_s` since its repair began, None if it still fires."""

    alarm: Alarm
    after_s: float
    gone_s: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    fired: tuple[Fired, ...]
    missing: tuple[str, ...]
    """Expected, and did not fire."""
    unexplained: tuple[str, ...]
    """Pages that neither were expected nor follow from the fault."""

    @property
    def is_right(self) -> bool:
        return not self.missing and not self.unexplained


def look_of(at_s: float, alerts: Sequence[Mapping[str, Any]]) -> Look:
    """`alerts`: as Prometheus lists them under /api/v1/alerts."""
    return Look(at_s, _alarms(alerts, FIRING), _alarms(alerts, PENDING))


def _alarms(alerts: Sequence[Mapping[str, Any]], state: str) -> frozenset[Alarm]:
    """Without the heartbeat, which fires all the time."""
    return frozenset(
        Alarm(
            labels["alertname"],
            labels["severity"],
            " ".join(labels[name] for name in SUBJECT_LABELS if name in labels),
        )
        for alert in alerts
        if alert["state"] == state and (labels := alert["labels"])["severity"] != "heartbeat"
    )


def judge(
    looks: Sequence[Look], fault_s: float, repair_s: float, expected: Mapping[str, str], follows: frozenset[str]
) -> Verdict:
    """`expected`: severity by name; `follows`: names of pages that the fault explains."""
    before = max((look for look in looks if look.at_s <= fault_s), key=lambda look: look.at_s, default=None)
    old = before.firing if before is not None else frozenset()
    since = [look for look in looks if look.at_s > fault_s]
    fired = sorted(_fired(since, old, fault_s, repair_s), key=lambda one: (one.after_s, one.alarm))
    there = {(one.alarm.name, one.alarm.severity) for one in fired}
    return Verdict(
        tuple(fired),
        tuple(name for name, severity in expected.items() if (name, severity) not in there),
        tuple(sorted({one.alarm.name for one in fired if one.alarm.is_page} - expected.keys() - follows)),
    )


def _fired(looks: Sequence[Look], old: frozenset[Alarm], fault_s: float, repair_s: float) -> list[Fired]:
    first: dict[Alarm, float] = {}
    last: dict[Alarm, float] = {}
    for look in looks:
        for alarm in look.firing - old:
            first.setdefault(alarm, look.at_s)
            last[alarm] = look.at_s
    gone = {alarm: min((look.at_s for look in looks if look.at_s > last[alarm]), default=None) for alarm in first}
    return [
        Fired(alarm, at_s - fault_s, None if (gone_s := gone[alarm]) is None else max(0.0, gone_s - repair_s))
        for alarm, at_s in first.items()
    ]


def are_there(look: Look, old: frozenset[Alarm], expected: Mapping[str, str]) -> bool:
    """Whether every expected alert fires, and not only from before."""
    there = {(alarm.name, alarm.severity) for alarm in look.firing - old}
    return there >= set(expected.items())


def is_calm(look: Look, expected: Mapping[str, str]) -> bool:
    """No page, none that is about to come, and nothing that is waited for."""
    names = {(alarm.name, alarm.severity) for alarm in look.firing}
    return not any(alarm.is_page for alarm in look.firing | look.pending) and not names & set(expected.items())
