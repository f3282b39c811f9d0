"""Recovery: from the start of a worker until it is at work on a million accounts, and what an idle one weighs."""

import random
import struct
import time
from typing import Final

from benchmarks import load
from benchmarks.alone import run_alone
from benchmarks.figures import Figure, Row, Size
from benchmarks.rig import Deployment, Rig, catalog, cpu_s, resident_bytes, say
from schemas.wire import decode_event
from streams.catalogs import load_catalog
from streams.engagement import rows
from streams.engine.partition import Partition
from streams.engine.program import compile_catalog

DEADLINE_AT: Final = struct.Struct(">q")
"""Where a state's next deadline stands: after one byte of version (`streams.engine.codec`)."""
FAR_MS: Final = 4_102_444_800_000
SPREAD_MS: Final = 10**10


def median_state() -> bytes:
    """The stored state of the bundled data set's account of median size."""
    partition = Partition(compile_catalog(load_catalog("oss")))
    for event in load.real(1):
        partition.apply(event.account, decode_event(event.raw), event.raw, event.arrival_ms)
    states = sorted((stored for _, stored in partition.take_changes()), key=len)
    return states[len(states) // 2]


def fill(made: Deployment, state: bytes, accounts: int) -> None:
    """Next deadlines are in no order, as in life: were they rising, the heap that holds them would have it easy."""
    feed = load.Feed(made.broker.bootstrap, made.topics.accounts_changelog)
    rng, partitions = random.Random(1), made.settings.kafka.partitions
    version, tail = state[:1], state[1 + DEADLINE_AT.size :]
    for number in range(accounts):
        value = version + DEADLINE_AT.pack(FAR_MS + rng.randrange(SPREAD_MS)) + tail
        feed.send(rows.ACCOUNT + b"account-%08d.example" % number, value, load.START_MS, number % partitions)
    feed.close()


def measure(rig: Rig, size: Size) -> list[Figure]:
    state = median_state()
    taken, weighs, cpu = [], [], []
    for _ in range(size.runs):
        with rig.deployment(more=catalog("oss", clock="log")) as made:
            empty_s, _, empty = _start(made)
            fill(made, state, size.accounts)
            ready_s, spent_s, full = _start(made)
        taken.append(ready_s)
        cpu.append(spent_s)
        weighs.append((full - empty) / size.accounts)
        say(f"ready after {ready_s:.1f} s, {spent_s:.1f} s CPU (empty {empty_s:.1f} s); {weighs[-1]:.0f} bytes each")
    return [
        Figure(
            what=f"recovery of {size.accounts:,} accounts of median size", unit="s", target=15, stretch=6,
            runs=tuple(taken),
            beside={"CPU s": round(max(cpu), 1), "bytes a state": len(state), "s without state": round(empty_s, 1)},
        ),
        Figure(
            what="memory of an account that is idle", unit="bytes RSS", target=1_024, stretch=717, runs=tuple(weighs)
        ),
    ]  # fmt: skip


def _start(made: Deployment) -> tuple[float, float, int]:
    """Start a worker and end it once it is ready: after how long, with how much processor time, and its memory."""
    began = time.monotonic()
    worker = made.worker()
    worker.await_ready(made.settings.kafka.partitions, every_s=0.02)
    ready_s, spent_s, resident = time.monotonic() - began, cpu_s(worker.pid), resident_bytes(worker.pid)
    worker.stop()
    made.workers.remove(worker)
    return ready_s, spent_s, resident


ROW: Final = Row(
    name="recovery",
    title="Recovery",
    how=(
        "The changelog is filled with copies of the state of the data set's account of median size, next deadlines in "
        "no order; then a worker is started: from its start, imports included, to `/readyz` on all partitions. "
        "Idle accounts: its resident memory then, less that of a worker without state, by the accounts."
    ),
    full=Size(runs=2, accounts=1_000_000),
    quick=Size(accounts=20_000),
    measure=measure,
)

if __name__ == "__main__":
    run_alone(ROW)
