"""The job that engines were compared by: ten segments evaluated on each event."""

from pathlib import Path
from typing import Final

from benchmarks import load
from benchmarks.alone import run_alone
from benchmarks.figures import Figure, Row, Size
from benchmarks.rig import Rig, Span, catalog, latest_rows, say
from streams.engagement import rows

CATALOG: Final = Path(__file__).with_name("ten_segments.yaml")
WARM: Final = 0.2


def measure(rig: Rig, size: Size) -> list[Figure]:
    spans: list[Span] = []
    stored: list[float] = []
    events = list(load.ten_segments(size.events, size.accounts))
    for run in range(size.runs):
        with rig.deployment(more=catalog(CATALOG)) as made:
            load.publish(rig.broker.bootstrap, made.input_topic, events)
            made.worker()
            spans.append(made.span(WARM))
            transitions = made.require_decided()
            latest = latest_rows(made, made.topics.accounts_changelog, rows.ACCOUNT)
        stored.append(sum(len(key) + len(value) for key, value in latest.items()) / len(latest))
        say(f"run {run + 1}: {spans[-1].cpu_s_per_million:.1f} CPU s/M, {spans[-1].events_per_s:,.0f} events/s")
    return [
        Figure(
            what="ten-segment job", unit="CPU s per million events", target=14, stretch=10,
            runs=tuple(one.cpu_s_per_million for one in spans),
            beside={
                "broker's CPU s per million": round(sum(one.broker_cpu_s_per_million for one in spans) / len(spans), 1),
                "events/s": round(max(one.events_per_s for one in spans)),
                "transitions": transitions,
            },
        ),
        Figure(
            what="changelog on the ten-segment job, key and latest value", unit="bytes per account",
            target=350, stretch=250, runs=tuple(stored), beside={"accounts": len(latest)},
        ),
    ]  # fmt: skip


ROW: Final = Row(
    name="ten_segments",
    title="The ten-segment job",
    how=(
        "500,000 track events of 10,000 skewed accounts over 30 days (244 B each, 4 partitions, key = account) are "
        "published; then an engagement worker starts on them with the ten segments of `ten_segments.yaml`, exactly "
        "once, clock off. Processor time of the worker from 20 % of the events committed to all committed; the "
        "broker's is told apart. The changelog's latest value of each account is what compaction leaves."
    ),
    full=Size(runs=3, events=500_000, accounts=10_000),
    quick=Size(events=20_000, accounts=400),
    measure=measure,
)

if __name__ == "__main__":
    run_alone(ROW)
