"""What deadlines that are all due at the same midnight cost a worker, and how long events wait meanwhile.

The changelog is filled with accounts that are due at midnight (`midnight`), a worker is started, and events of new
accounts come at a steady rate: some seconds before midnight, then past it. The clock follows the log, so midnight is
when the events say so. An event waits from before it is given to the client until its transition can be read.
"""

import os
import threading
import time
from dataclasses import dataclass, field
from typing import Final

from benchmarks.alone import run_alone
from benchmarks.figures import Figure, Row, Size
from benchmarks.live import Reader, running
from benchmarks.load import Feed
from benchmarks.midnight import LAST_EVENT_MS, MIDNIGHT_MS, STATES, event, partition_row, program, states
from benchmarks.rig import PARTITIONS, Deployment, Rig, WorkerProcess, catalog, cpu_s, say
from streams.engagement import rows
from streams.limits import GRACE_MS

RATE: Final = 500
BEFORE_S: Final = 5.0
AFTER_S: Final = 2.0
WARM_UP_S_MAX: Final = 60.0
GIVE_UP_S: Final = 1_800.0
POLL_S: Final = 0.002
FIRED: Final = "pegel_deadlines_total"


@dataclass
class Newcomers:
    """Each event is the first of its account, which leads to a transition; at a steady rate, in the log's own time."""

    made: Deployment
    appended: dict[str, float] = field(default_factory=dict)
    past_midnight: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        feed = Feed(self.made.broker.bootstrap, self.made.input_topic, linger_ms=0)
        began, number = time.monotonic(), 0
        while not self.over.is_set():
            due = int((time.monotonic() - began) * RATE)
            while number < due:
                at = (MIDNIGHT_MS + GRACE_MS if self.past_midnight.is_set() else LAST_EVENT_MS) + number
                name = f"new-{number}"
                raw = event(name, at, "logged_in", "u1")
                self.appended[name] = time.monotonic()
                feed.send(name.encode(), raw, at, number % PARTITIONS)
                number += 1
            feed.poll(POLL_S)
        feed.close()


@dataclass(frozen=True, slots=True)
class Midnight:
    """What happened: `work_s` is the worker's processor time for deadlines alone."""

    work_s: float
    seconds: float
    transitions: int
    before_ms: list[float]
    meanwhile_ms: list[float]


def measure(rig: Rig, size: Size) -> list[Figure]:
    found = [_one(rig, size) for _ in range(size.runs)]
    waited = [one for one in found if one.meanwhile_ms]  # else it was over before an event came
    figures = [
        Figure(
            what=f"{size.accounts:,} deadlines due at once, work", unit="CPU s", target=10, stretch=5,
            runs=tuple(one.work_s for one in found),
            beside={"s until all had fired": round(found[-1].seconds, 1), "transitions": found[-1].transitions},
        )
    ]  # fmt: skip
    if waited:
        figures.append(
            Figure(
                what=f"events' p99 meanwhile, {RATE}/s", unit="ms", target=500,
                runs=tuple(_percentile(one.meanwhile_ms, 99) for one in waited),
                beside={
                    "p50": round(_percentile(waited[-1].meanwhile_ms, 50)), "events": len(waited[-1].meanwhile_ms),
                    "p99 before midnight": round(_percentile(waited[-1].before_ms, 99)) if waited[-1].before_ms else "",
                },
            )
        )  # fmt: skip
    return figures


def _percentile(values: list[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


def _one(rig: Rig, size: Size) -> Midnight:
    with rig.deployment(more=catalog("default", clock="log")) as made:
        _fill(made, size.accounts)
        worker = made.worker()
        worker.await_ready(PARTITIONS)
        reader, load = Reader(made), Newcomers(made)
        with running(reader):
            with running(load):
                _warm_up(load, reader)
                before, cpu = time.monotonic(), cpu_s(worker.pid)
                time.sleep(BEFORE_S)
                midnight, cpu_at = time.monotonic(), cpu_s(worker.pid)
                quiet_cores = (cpu_at - cpu) / (midnight - before)
                load.past_midnight.set()
                _await_fired(worker, size.accounts)
                done, cpu_done = time.monotonic(), cpu_s(worker.pid)
            time.sleep(AFTER_S)
    waits = {at: (reader.readable[name] - at) * 1_000 for name, at in load.appended.items() if name in reader.readable}
    found = Midnight(
        work_s=cpu_done - cpu_at - quiet_cores * (done - midnight),
        seconds=done - midnight,
        transitions=reader.transitions,
        before_ms=[wait for at, wait in waits.items() if before < at <= midnight],
        meanwhile_ms=[wait for at, wait in waits.items() if midnight < at <= done],
    )
    say(f"midnight took {found.seconds:.1f} s, {found.work_s:.1f} s CPU for deadlines; {quiet_cores:.2f} cores before")
    return found


def _fill(made: Deployment, accounts: int) -> None:
    rules = program()
    kept = states(rules)
    feed = Feed(made.broker.bootstrap, made.topics.accounts_changelog)
    for number in range(accounts):
        feed.send(rows.ACCOUNT + b"account-%d" % number, kept[number % STATES], LAST_EVENT_MS, number % PARTITIONS)
    for partition in range(PARTITIONS):
        feed.send(rows.PARTITION, partition_row(rules), LAST_EVENT_MS, partition)
    feed.close()


def _warm_up(load: Newcomers, reader: Reader) -> None:
    """Until the worker has caught up with the events."""
    end = time.monotonic() + WARM_UP_S_MAX
    while len(load.appended) - len(reader.readable) > RATE / 2 or not reader.readable:
        if time.monotonic() > end:
            say(f"the worker does not keep up with the events alone: {os.getloadavg()[0]:.0f} processes want to run")
            return
        time.sleep(0.5)


def _await_fired(worker: WorkerProcess, accounts: int) -> None:
    end = time.monotonic() + GIVE_UP_S
    while (fired := worker.counted(FIRED)) < accounts:
        worker.require_running()
        if time.monotonic() > end:
            raise RuntimeError(f"{fired:.0f} deadlines fired in {GIVE_UP_S:.0f} s")
        time.sleep(0.5)


ROW: Final = Row(
    name="deadlines",
    title="A midnight with everything due",
    how=(
        "Accounts that are all due at the same midnight by the default catalog, 10 % of which then change segments; "
        "events of new accounts come at 500 a second before and meanwhile. Work: the worker's processor time until "
        "all deadlines have fired, less what it took per second before."
    ),
    full=Size(accounts=1_000_000),
    quick=Size(accounts=10_000),
    measure=measure,
)

if __name__ == "__main__":
    run_alone(ROW)
