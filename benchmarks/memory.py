"""What an account that is being active keeps in memory."""

import time
from typing import Final

from benchmarks import load
from benchmarks.alone import run_alone
from benchmarks.figures import Figure, Row, Size
from benchmarks.rig import Rig, catalog, resident_bytes, say
from benchmarks.ten_segments import CATALOG

FURTHER: Final = 3
"""So many times the first accounts come in addition."""
QUIET_S: Final = 2.0


def measure(rig: Rig, size: Size) -> list[Figure]:
    each = [_one(rig, size) for _ in range(size.runs)]
    return [
        Figure(
            what="memory of an account that is being active", unit="bytes RSS", target=6_144, stretch=4_096,
            runs=tuple(each), beside={"events per account": size.events // size.accounts},
        )
    ]  # fmt: skip


def _one(rig: Rig, size: Size) -> float:
    """Between two populations with as many events: what a worker needs besides accounts is in both."""
    with rig.deployment(more=catalog(CATALOG)) as made:
        worker = made.worker()
        worker.await_ready(made.settings.kafka.partitions)
        made.await_announced()
        resident: list[int] = []
        for part, times in enumerate((1, FURTHER)):
            events = load.ten_segments(size.events * FURTHER, size.accounts * times, prefix=f"part{part}")
            load.publish(rig.broker.bootstrap, made.input_topic, events)
            *_, _last = made.follow()
            time.sleep(QUIET_S)
            resident.append(resident_bytes(worker.pid))
    each = (resident[1] - resident[0]) / (FURTHER * size.accounts)
    say(f"{resident[0] >> 20} MiB, {resident[1] >> 20} MiB: {each:.0f} bytes an account")
    return each


ROW: Final = Row(
    name="memory",
    title="Memory of active accounts",
    how=(
        "A worker takes the ten-segment job of 4,000 accounts (150 events each), then that of 12,000 others (50 events "
        "each), and stays within what it keeps decoded. The growth of its resident memory in the second part, by the "
        "accounts of the second part; what it needs besides accounts is there before."
    ),
    full=Size(runs=1, events=200_000, accounts=4_000),
    quick=Size(events=10_000, accounts=200),
    measure=measure,
)

if __name__ == "__main__":
    run_alone(ROW)
