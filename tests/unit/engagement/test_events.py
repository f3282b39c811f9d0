"""The short way of events: it ends at whatever is none, and takes nothing twice."""

from dataclasses import dataclass

import pytest

from streams.catalogs import load_program
from streams.engagement.clock import PartitionClock
from streams.engagement.events import take_events
from streams.engine.apply import Noted
from streams.engine.partition import Partition
from streams.runtime.stage import InputRecord

DAY_MS = 86_400_000
AT_MS = 20_513 * DAY_MS


@dataclass(frozen=True)
class Sent:
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    offset: int = 0
    timestamp: int = AT_MS


def page(number: int, key: bytes = b"acme", time: str = "2026-02-28T12:00:00Z") -> Sent:
    return Sent(key, b'{"type":"page","messageId":"%d","timestamp":"%s"}' % (number, time.encode()))


OTHERS = {
    "headers": Sent(b"acme", page(0).value, (("traceparent", b"00"),)),
    "no value": Sent(b"acme", None),
    "no key": Sent(None, page(0).value),
    "an empty key": Sent(b"", page(0).value),
    "no event": Sent(b"acme", b"{}"),
    "no JSON": Sent(b"acme", b"{"),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_what_is_no_plain_event_ends_the_run_and_is_not_applied(other: Sent) -> None:
    engine, clock = Partition(load_program("default")), PartitionClock("off", 0)
    batch = [page(1), page(2, b"other"), other, page(3)]
    late: list[InputRecord] = []
    assert take_events(batch, 0, engine, clock, late) == 2
    assert take_events(batch, 2, engine, clock, late) == 2
    assert take_events(batch, 3, engine, clock, late) == len(batch)
    assert engine.counts[Noted.APPLIED] == 3
    assert not late


def test_events_that_are_too_late_are_told_of_and_the_newest_arrival_is_noted() -> None:
    engine, clock = Partition(load_program("default")), PartitionClock("off", 0)
    old = page(2, time="2025-06-01T00:00:00Z")
    late: list[InputRecord] = []
    assert take_events([page(1), old], 0, engine, clock, late) == 2
    assert late == [old]
    assert clock.newest_arrival == AT_MS
