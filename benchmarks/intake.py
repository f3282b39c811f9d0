"""Intake: validate, resolve the account, re-key, pass the bytes through."""

from typing import Final

from benchmarks import load
from benchmarks.alone import run_alone
from benchmarks.figures import Figure, Row, Size
from benchmarks.rig import Rig, Span, say

WARM: Final = 0.2


def measure(rig: Rig, size: Size) -> list[Figure]:
    events = list(load.mixed(size.events, size.accounts))
    spans: list[Span] = []
    for _ in range(size.runs):
        with rig.deployment("intake") as made:
            load.publish(rig.broker.bootstrap, made.input_topic, events, by_user=True)
            made.worker()
            spans.append(made.span(WARM))
        say(f"{spans[-1].cpu_s_per_million:.1f} CPU s/M, {spans[-1].events_per_s:,.0f} events/s")
    return [
        Figure(
            what="intake", unit="CPU s per million events", target=8, stretch=5,
            runs=tuple(one.cpu_s_per_million for one in spans),
            beside={
                "broker's CPU s per million": round(sum(one.broker_cpu_s_per_million for one in spans) / len(spans), 1),
                "events/s": round(max(one.events_per_s for one in spans)),
            },
        )
    ]  # fmt: skip


ROW: Final = Row(
    name="intake",
    title="Intake",
    how=(
        "The mix of the default catalog's row, keyed by user; half of the events of users that a group call named "
        "carry no account and find it by the user. Partitions wait for each other by arrival (one day), as they do by "
        "default. Processor time of the worker from 20 % of the events committed to all committed."
    ),
    full=Size(runs=3, events=300_000, accounts=10_000),
    quick=Size(events=20_000, accounts=500),
    measure=measure,
)

if __name__ == "__main__":
    run_alone(ROW)
