"""Laws of the canary as a service: what it shows, when it gives up, and when it does not."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import ClientSession
from confluent_kafka import KafkaError

from streams.canary import once, service
from streams.canary.crossing import Crossing
from streams.canary.once import CROSSINGS, Looked
from streams.canary.report import Shown
from streams.canary.service import LIVE_S, Canary
from streams.canary.session import Session
from streams.canary.watch import Errand, Reason, Rhythm, Verdict
from streams.canary.ways import Side, Way
from streams.cli import ExitStatus, run
from streams.errors import ExpectedError, KafkaRefusedError, KafkaUnreachableError
from streams.metric_registry import Metrics
from streams.settings import Settings

RHYTHM = Rhythm(60.0, 60.0)


def verdict(partition: int, reason: Reason = Reason.AS_EXPECTED) -> Verdict:
    return Verdict(partition, f"pegel-canary-service-{partition}", reason, 0.2)


def value(metrics: Metrics, series: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"pegel_canary_{series}", labels)


# -- what it shows -----------------------------------------------------------------------------------------------------


def test_the_age_that_is_shown_is_that_of_the_partition_that_was_seen_longest_ago() -> None:
    now = [1_000.0]
    metrics = Metrics("canary")
    shown = Shown(metrics, lambda: now[0])
    assert value(metrics, "last_seen_timestamp_seconds") == 1_000, "it counts from the start, not from 1970"
    shown.begun(2)
    now[0] = 1_060.0
    shown.ended(verdict(0))
    assert value(metrics, "last_seen_timestamp_seconds") == 1_000
    assert value(metrics, "partition_seen_timestamp_seconds", partition="0") == 1_060
    now[0] = 1_090.0
    shown.ended(verdict(1))
    assert value(metrics, "last_seen_timestamp_seconds") == 1_060
    shown.begun(2)
    assert value(metrics, "last_seen_timestamp_seconds") == 1_060, "another session forgets nothing"


def test_what_was_not_seen_counts_as_what_it_was_and_refreshes_nothing() -> None:
    metrics = Metrics("canary")
    now = [1_000.0]
    shown = Shown(metrics, lambda: now[0])
    shown.begun(1)
    now[0] = 2_000.0
    shown.ended(verdict(0, Reason.NOT_IN_TIME))
    shown.ended(verdict(0, Reason.NUMBER_LEFT_OUT))
    found = {word: value(metrics, "crossings_total", outcome=word) for word in ("seen", "missed", "wrong")}
    assert found == {"seen": 0, "missed": 1, "wrong": 1}
    assert value(metrics, "last_seen_timestamp_seconds") == 1_000
    assert value(metrics, "latency_seconds_count") == 0


async def page(canary: Canary, path: str) -> int:
    async with canary.pages("127.0.0.1", 0) as address, ClientSession() as client, client.get(address + path) as answer:
        return answer.status


async def test_it_lives_while_its_thread_comes_round_and_is_ready_while_it_works() -> None:
    canary = Canary(Settings(), "service", "cafe", Metrics("canary"))
    assert await page(canary, "/livez") == 200
    assert await page(canary, "/readyz") == 503
    assert await page(canary, "/metrics") == 200
    canary._shown.at_work(up=True)
    assert await page(canary, "/readyz") == 200
    canary._beat_s = time.monotonic() - LIVE_S
    assert await page(canary, "/livez") == 503


# -- when it gives up --------------------------------------------------------------------------------------------------


def canary_with(monkeypatch: pytest.MonkeyPatch, stay: Callable[[Canary], None]) -> Canary:
    """One whose sessions are this."""
    canary = Canary(Settings(), "service", "cafe", Metrics("canary"))

    class Stay:
        def __init__(self, *_: Any) -> None:
            pass

        def run(self, _: Callable[[], bool]) -> None:
            stay(canary)

    monkeypatch.setattr(service, "Session", Stay)
    monkeypatch.setattr(service, "RETRY_S", 0.0)
    return canary


def test_brokers_that_are_away_end_a_session_and_not_the_canary(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = 0

    def away(canary: Canary) -> None:
        nonlocal tries
        tries += 1
        canary._shown.at_work(up=True)
        if tries == 3:
            canary.stop()
        raise KafkaUnreachableError("nobody answers")

    canary = canary_with(monkeypatch, away)
    canary.run()
    assert tries == 3
    assert not canary._shown.up


@pytest.mark.parametrize("error", [KafkaRefusedError("not allowed"), ExpectedError("there is no topic")])
def test_what_it_may_not_do_or_has_no_topic_for_ends_it(monkeypatch: pytest.MonkeyPatch, error: ExpectedError) -> None:
    def refused(_: Canary) -> None:
        raise error

    with pytest.raises(type(error)):
        canary_with(monkeypatch, refused).run()


# -- what it publishes -------------------------------------------------------------------------------------------------


class Events:
    """A producer that keeps what it is given, or takes nothing."""

    def __init__(self, *, full: bool = False) -> None:
        self.full = full
        self.taken: list[dict[str, Any]] = []

    def produce(self, topic: str, value: bytes, key: bytes, **more: Any) -> None:
        if self.full:
            raise BufferError
        self.taken.append({"topic": topic, "value": value, "key": key, **more})


def published(monkeypatch: pytest.MonkeyPatch, clock_ms: list[int], *, full: bool = False) -> tuple[Events, Shown]:
    shown = Shown(Metrics("canary"))
    shown.at_work(up=True)
    stay = Session(Settings(), "service", "cafe", RHYTHM, shown)
    stay._crossing = Crossing(Way.BILLING, "watched", "v1")
    events = Events(full=full)
    for number, now_ms in enumerate(clock_ms):
        monkeypatch.setattr(time, "time_ns", lambda now_ms=now_ms: now_ms * 1_000_000)
        stay._publish(events, Errand(0, "pegel-canary-service-0", Side.IN, f"m{number}"))
    return events, shown


def test_no_event_is_older_than_the_one_before_though_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    events, _ = published(monkeypatch, [5_000, 4_000, 6_000])
    assert [one["timestamp"] for one in events.taken] == [5_000, 5_000, 6_000]
    assert {one["key"] for one in events.taken} == {b"pegel-canary-service-0"}


def test_a_queue_that_is_full_is_no_failure_but_not_at_work_either(monkeypatch: pytest.MonkeyPatch) -> None:
    _, shown = published(monkeypatch, [5_000], full=True)
    assert not shown.up


def test_it_is_at_work_while_brokers_take_its_events(monkeypatch: pytest.MonkeyPatch) -> None:
    events, shown = published(monkeypatch, [5_000])
    events.taken[0]["on_delivery"](KafkaError(KafkaError._MSG_TIMED_OUT), None)
    assert not shown.up
    events.taken[0]["on_delivery"](None, None)
    assert shown.up


def test_what_the_brokers_do_not_allow_ends_the_session_and_is_no_mere_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    events, _ = published(monkeypatch, [5_000])
    stay = events.taken[0]["on_delivery"].__self__
    events.taken[0]["on_delivery"](KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), None)
    assert stay._denied is not None
    assert stay._denied.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


# -- by hand -----------------------------------------------------------------------------------------------------------


def test_a_look_by_hand_ends_when_every_partition_was_crossed_both_ways() -> None:
    told: list[Verdict] = []
    looked = Looked(told.append)
    looked.begun(2)
    for number in range(CROSSINGS):
        assert looked.going_on()
        looked.ended(verdict(0))
        looked.ended(verdict(1, Reason.NOT_IN_TIME if number else Reason.AS_EXPECTED))
    assert not looked.going_on()
    looked.ended(verdict(0, Reason.WRITTEN_TWICE))
    assert len(told) == 2 * CROSSINGS


@pytest.mark.parametrize(
    ("reasons", "status"),
    [
        ([Reason.AS_EXPECTED] * 2, ExitStatus.OK),
        ([Reason.AS_EXPECTED, Reason.NOT_IN_TIME], ExitStatus.FAILURE),
        ([Reason.AS_EXPECTED, Reason.OTHER_DIRECTION], ExitStatus.FAILURE),
        ([], ExitStatus.FAILURE),
    ],
)
def test_the_exit_status_says_whether_every_crossing_was_seen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], reasons: list[Reason], status: int
) -> None:
    class Stay:
        def __init__(self, *given: Any) -> None:
            self._report: Looked = given[-1]

        def run(self, going_on: Callable[[], bool]) -> None:
            self._report.begun(1)
            for reason in reasons:
                assert going_on()
                self._report.ended(verdict(0, reason))

    monkeypatch.setattr(once, "Session", Stay)
    assert run(["canary", "--once", "--json"]) == status
    assert len(capsys.readouterr().out.splitlines()) == len(reasons)


def test_it_does_not_run_where_the_newest_arrival_is_the_clock(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PEGEL_ENGAGEMENT__CLOCK", "log")
    assert run(["canary"]) == ExitStatus.USAGE
    assert "engagement.clock" in capsys.readouterr().err
