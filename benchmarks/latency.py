"""How long until what an event led to can be read, and what a quiet worker costs."""

import time
from typing import Final

from benchmarks.alone import run_alone
from benchmarks.figures import Figure, Row, Size
from benchmarks.live import Load, Reader, running
from benchmarks.rig import Rig, catalog, cpu_s, say
from benchmarks.ten_segments import CATALOG

RATE: Final = 2_000
SETTLE_S: Final = 5.0
"""Longer than any transition takes to be read."""


def measure(rig: Rig, size: Size) -> list[Figure]:
    runs = [_one(rig, size) for _ in range(size.runs)]
    p50s, p99s, cores, waits = zip(*runs, strict=True)
    return [
        Figure(what=f"append -> transition readable at {RATE:,} events/s, p50", unit="ms", target=60, stretch=30,
               runs=p50s, beside={"transitions a run": waits[0]}),
        Figure(what=f"append -> transition readable at {RATE:,} events/s, p99", unit="ms", target=150, stretch=80,
               runs=p99s),
        Figure(what=f"worker at {RATE:,} events/s", unit="cores", target=0.2, stretch=0.15, runs=cores),
    ]  # fmt: skip


def _one(rig: Rig, size: Size) -> tuple[float, float, float, int]:
    with rig.deployment(more=catalog(CATALOG, clock="wall")) as made:
        worker = made.worker()
        worker.await_ready(made.settings.kafka.partitions)
        load, reader = Load(made, RATE, size.accounts), Reader(made)
        # The reader stops last, or what was on its way would be missing.
        with running(reader):
            with running(load):
                time.sleep(size.seconds / 4)
                began, cpu = time.monotonic(), cpu_s(worker.pid)
                time.sleep(size.seconds)
                ended = time.monotonic()
                cores = (cpu_s(worker.pid) - cpu) / (ended - began)
                worker.require_running()
            time.sleep(SETTLE_S)
    waits = sorted(
        (readable - load.appended[message_id]) * 1_000
        for message_id, readable in reader.readable.items()
        if began <= load.appended[message_id] <= ended
    )
    if not waits:
        raise RuntimeError(f"no transition could be read: {worker.log()}")
    p50, p99 = waits[len(waits) // 2], waits[len(waits) * 99 // 100]
    say(f"{len(waits)} transitions, p50 {p50:.0f} ms, p99 {p99:.0f} ms, {cores:.2f} cores")
    return p50, p99, cores, len(waits)


ROW: Final = Row(
    name="latency",
    title="Latency",
    how=(
        "2,000 events a second, as they happen (10,000 skewed accounts; 2 % are an account's first event), the ten "
        "segments, wall clock. From just before an event is given to the client (acks=all, no linger) to when a "
        "read_committed consumer has the transition that names it as its trigger; after a warm-up of a quarter. "
        "Cores: processor time of the worker in the same seconds."
    ),
    full=Size(runs=2, seconds=30, accounts=10_000),
    quick=Size(seconds=4, accounts=500),
    measure=measure,
)

if __name__ == "__main__":
    run_alone(ROW)
