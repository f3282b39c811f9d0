"""Ten times what a worker can take: its lag grows, its memory must not.

A worker that takes a core cannot be given ten times its load by a client on the same machine. So it is let run for a
tenth of the time only (SIGSTOP and SIGCONT by turns), which makes a small worker of it: its event loop is always busy
and its sockets are always full, as under any overload. What it sustains like that is measured, then it is sent ten
times as much.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from benchmarks import load
from benchmarks.alone import run_alone
from benchmarks.figures import Figure, Row, Size
from benchmarks.rig import Deployment, Rig, WorkerProcess, catalog, resident_bytes, say
from benchmarks.ten_segments import CATALOG

SHARE: Final = 0.1
TURN_S: Final = 0.2
TIMES: Final = 10
TRIAL_S: Final = 10.0
BEGUN_WITHIN_S: Final = 60.0
SAMPLE_S: Final = 1.0
SETTLED: Final = 0.25
"""Share of the time after which memory has found its level: buffers and windows are full, every account is there."""
GROWTH_MAX: Final = 0.1
POLL_S: Final = 0.002
START_MS: Final = 1_826 * load.DAY_MS  # 1975-01-01: it must not get beyond today
EVENTS, DAYS = 40_000_000, 18_000
"""More than are sent in ten minutes, and the days that they are from: soon every window is full, as are the buffers."""


@dataclass
class Sent:
    """Activity at a rate, or as fast as the broker takes it."""

    made: Deployment
    accounts: int
    rate: float
    count: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        feed = load.Feed(self.made.broker.bootstrap, self.made.input_topic)
        began = time.monotonic()
        for event in load.skewed(EVENTS, self.accounts, START_MS, DAYS * load.DAY_MS, "acct"):
            while self.count >= (time.monotonic() - began) * self.rate and not self.over.is_set():
                feed.poll(POLL_S)
            if self.over.is_set():
                break
            feed.send(event.account.encode(), event.raw, event.arrival_ms)
            self.count += 1
        feed.close()


@contextmanager
def slowed(worker: WorkerProcess) -> Iterator[None]:
    """The worker runs for `SHARE` of the time."""
    over = threading.Event()

    def turns() -> None:
        while not over.is_set():
            worker.hold()
            over.wait(TURN_S * (1 - SHARE))
            worker.go_on()
            over.wait(TURN_S * SHARE)

    thread = threading.Thread(target=turns)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def sending(sent: Sent) -> Iterator[None]:
    thread = threading.Thread(target=sent.run)
    thread.start()
    try:
        yield
    finally:
        sent.over.set()
        thread.join()


def measure(rig: Rig, size: Size) -> list[Figure]:
    sustained = _sustained(rig, size)
    say(f"sustains {sustained:,.0f} events/s; {TIMES} times as many for {size.seconds:.0f} s")
    seen: list[tuple[float, int, int]] = []
    with rig.deployment(more=catalog(CATALOG)) as made:
        worker = made.worker()
        worker.await_ready(made.settings.kafka.partitions)
        sent = Sent(made, size.accounts, sustained * TIMES)
        with slowed(worker), sending(sent), made.committed() as committed:
            began = time.monotonic()
            while (elapsed := time.monotonic() - began) < size.seconds:
                time.sleep(SAMPLE_S)
                worker.require_running()
                seen.append((elapsed, sent.count - sum(committed()), resident_bytes(worker.pid)))
                if len(seen) % 30 == 0:
                    say(f"{elapsed:.0f} s: {seen[-1][1]:,} behind, {seen[-1][2] >> 20} MiB")
    settled = [resident for elapsed, _, resident in seen if elapsed >= SETTLED * size.seconds]
    growth = max(settled) / settled[0] - 1
    lag, grew = seen[-1][1], seen[-1][1] > seen[len(seen) // 2][1]
    if not grew:
        raise RuntimeError("the lag did not grow: this was no overload")
    return [
        Figure(
            what=f"memory under {TIMES} times the sustainable load for {size.seconds / 60:.0f} min, growth after "
            f"{SETTLED:.0%} of it",
            unit="%", target=100 * GROWTH_MAX, runs=(100 * growth,),
            beside={
                "sustained events/s": round(sustained), "sent events/s": round(sent.count / elapsed),
                "behind at the end": lag, "MiB": f"{settled[0] >> 20} -> {max(settled) >> 20}",
            },
        )
    ]  # fmt: skip


def _sustained(rig: Rig, size: Size) -> float:
    """What the slowed worker commits in a second when there is always more to read."""
    with rig.deployment(more=catalog(CATALOG)) as made:
        worker = made.worker()
        worker.await_ready(made.settings.kafka.partitions)
        worker.hold()
        events = load.skewed(size.events, size.accounts, START_MS, size.events * DAYS * load.DAY_MS // EVENTS, "acct")
        load.publish(rig.broker.bootstrap, made.input_topic, events)
        total = sum(made.ends())
        with made.committed() as committed, slowed(worker):
            end = time.monotonic() + BEGUN_WITHIN_S
            while (before := sum(committed())) == 0 and time.monotonic() < end:
                time.sleep(TURN_S)
            began = time.monotonic()
            time.sleep(TRIAL_S)
            after, ended = sum(committed()), time.monotonic()
    if after >= total or after <= before:
        raise RuntimeError(f"{before} to {after} of {total} events: give more --events")
    return (after - before) / (ended - began)


ROW: Final = Row(
    name="overload",
    title="Overload",
    how=(
        "A worker that may run a tenth of the time is sent ten times what it sustains like that, by the ten-segment "
        "job. Its lag has to grow; its resident memory, taken every second, may grow by a tenth at most after the "
        "first quarter of the time."
    ),
    full=Size(seconds=600, events=200_000, accounts=1_300),
    quick=Size(seconds=20, events=100_000, accounts=100),
    measure=measure,
)

if __name__ == "__main__":
    run_alone(ROW)
