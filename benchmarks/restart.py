"""How long a killed worker is away."""

import time
from typing import Final

from benchmarks import load
from benchmarks.alone import run_alone
from benchmarks.figures import Figure, Row, Size
from benchmarks.live import Load, Reader, running
from benchmarks.rig import Rig, catalog, say
from benchmarks.ten_segments import CATALOG

RATE: Final = 200
DAYS: Final = 10
BACK_WITHIN_S: Final = 120.0
BETWEEN_S: Final = 3.0
POLL_S: Final = 0.005


def measure(rig: Rig, size: Size) -> list[Figure]:
    taken: list[float] = []
    with rig.deployment(more=catalog(CATALOG, clock="wall")) as made:
        begin_ms = time.time_ns() // 1_000_000 - DAYS * load.DAY_MS
        history = load.skewed(size.events, size.accounts, begin_ms, DAYS * load.DAY_MS, "acct")
        load.publish(made.broker.bootstrap, made.input_topic, history)
        worker = made.worker()
        made.span(0.0)
        events, reader = Load(made, RATE, size.accounts), Reader(made)
        with running(reader), running(events):
            for _ in range(size.runs):
                time.sleep(BETWEEN_S)
                worker.await_ready(made.settings.kafka.partitions)
                began, killed_ms = time.monotonic(), time.time_ns() // 1_000_000
                worker.kill()
                worker.start()
                # Written after the kill: what was committed just before may be read only now.
                while reader.latest_written_ms <= killed_ms:
                    worker.require_running()
                    if time.monotonic() - began > BACK_WITHIN_S:
                        raise RuntimeError(f"no transition after {BACK_WITHIN_S:.0f} s: {worker.log()}")
                    time.sleep(POLL_S)
                taken.append(time.monotonic() - began)
                say(f"back after {taken[-1]:.2f} s")
    return [
        Figure(
            what="kill -9 -> first new transition readable, 10k accounts", unit="s", target=4, stretch=2,
            runs=tuple(taken),
        )
    ]  # fmt: skip


ROW: Final = Row(
    name="restart",
    title="Restart after kill -9",
    how=(
        "A worker with a name of its own (static membership) has taken ten days' events of 10,000 accounts and is "
        "given 200 events a second. It is killed with -9 and started again at once: from before the kill to when a "
        "read_committed consumer has a transition that was written after it."
    ),
    full=Size(runs=5, events=150_000, accounts=10_000),
    quick=Size(runs=1, events=10_000, accounts=1_000),
    measure=measure,
)

if __name__ == "__main__":
    run_alone(ROW)
