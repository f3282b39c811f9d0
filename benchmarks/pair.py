"""Two workers against one."""

from typing import Final

from benchmarks import load
from benchmarks.alone import run_alone
from benchmarks.figures import Figure, Row, Size
from benchmarks.rig import PARTITIONS, Rig, Span, catalog, say
from benchmarks.ten_segments import CATALOG

WARM: Final = 0.1
UNTIL: Final = 0.9
"""Later one of two may be done: accounts are not equally large."""


def measure(rig: Rig, size: Size) -> list[Figure]:
    events = list(load.ten_segments(size.events, size.accounts))
    wall, capacity = [], []
    for _ in range(size.runs):
        alone, both = (_workers(rig, count, events) for count in (1, 2))
        wall.append(both.events_per_s / alone.events_per_s)
        capacity.append(2 * alone.cpu_s_per_million / both.cpu_s_per_million)
        say(f"{alone.events_per_s:,.0f} -> {both.events_per_s:,.0f} events/s; {capacity[-1]:.2f} by processor time")
    return [
        Figure(
            what="two workers against one, events/s", unit="times", target=1.7, stretch=1.9, more_is_better=True,
            runs=tuple(wall),
            beside={
                "events/s": f"{alone.events_per_s:,.0f} -> {both.events_per_s:,.0f} in the last run",
                "cores of the broker": f"{_broker_cores(alone):.2f} -> {_broker_cores(both):.2f}",
            },
        ),
        Figure(
            what="two workers against one, by processor time per event", unit="times", more_is_better=True,
            runs=tuple(capacity),
        ),
    ]  # fmt: skip


def _broker_cores(span: Span) -> float:
    return span.broker_cpu_s_per_million * span.events_per_s / 1e6


def _workers(rig: Rig, count: int, events: list[load.Loaded]) -> Span:
    """All share the partitions and stand still until the events are there."""
    with rig.deployment(more=catalog(CATALOG)) as made:
        workers = [made.worker() for _ in range(count)]
        while not all(len(worker.await_ready()["partitions"]) == PARTITIONS // count for worker in workers):
            pass
        made.await_announced()
        for worker in workers:
            worker.hold()
        try:
            load.publish(rig.broker.bootstrap, made.input_topic, events)
        finally:
            for worker in workers:
                worker.go_on()
        span = made.span(WARM, UNTIL)
        made.require_decided()
        return span


ROW: Final = Row(
    name="pair",
    title="Two workers",
    how=(
        "The ten-segment job with one worker on four partitions, then with two on two each. They have their partitions "
        "and are held still (SIGSTOP) while the events are published. Events a second from 10 % to 90 % committed, "
        "with broker, workers and measuring on the same cores; and what the workers could do with a core each, by "
        "their processor time per event."
    ),
    full=Size(runs=2, events=400_000, accounts=8_000),
    quick=Size(events=40_000, accounts=800),
    measure=measure,
)

if __name__ == "__main__":
    run_alone(ROW)
