"""The complete built-in catalogs over what products really send."""

from collections.abc import Iterable
from typing import Final

from benchmarks import load
from benchmarks.alone import run_alone
from benchmarks.figures import Figure, Row, Size
from benchmarks.rig import Rig, Span, catalog, say

WARM: Final = 0.2
REAL_EVENTS: Final = 44_719


def measure(rig: Rig, size: Size) -> list[Figure]:
    mix = list(load.mixed(size.events, size.accounts))
    copies = max(1, round(size.events / REAL_EVENTS))
    mean = sum(len(event.raw) for event in mix) / len(mix)
    spans = [_caught_up(rig, "default", mix) for _ in range(size.runs)]
    real = [_caught_up(rig, "oss", load.real(copies)) for _ in range(size.runs)]
    return [
        Figure(
            what="default catalog complete, real mix of events", unit="CPU s per million events", target=18, stretch=12,
            runs=tuple(one.cpu_s_per_million for one in spans),
            beside={**_beside(spans), "bytes an event": round(mean)},
        ),
        Figure(
            what=f"catalog oss complete, real data set, {copies} times over", unit="CPU s per million events",
            runs=tuple(one.cpu_s_per_million for one in real), beside=_beside(real),
        ),
    ]  # fmt: skip


def _caught_up(rig: Rig, rules: str, events: Iterable[load.Loaded]) -> Span:
    with rig.deployment(more=catalog(rules, clock="log")) as made:
        load.publish(rig.broker.bootstrap, made.input_topic, events)
        made.worker()
        span = made.span(WARM)
        made.require_decided()
    say(f"{rules}: {span.cpu_s_per_million:.1f} CPU s/M, {span.events_per_s:,.0f} events/s")
    return span


def _beside(spans: list[Span]) -> dict[str, float]:
    return {
        "broker's CPU s per million": round(sum(one.broker_cpu_s_per_million for one in spans) / len(spans), 1),
        "events/s": round(max(one.events_per_s for one in spans)),
    }


ROW: Final = Row(
    name="mixed",
    title="Built-in catalogs, real mixes",
    how=(
        "As the ten-segment job, with the built-in catalogs complete and the clock following the log. `default`: all "
        "kinds of calls (80 % track, pages, group and identify calls, billing, NPS, tickets, referrals) of 6,000 "
        "accounts over 30 days, 7 % up to six days late, 2 % twice. `oss`: the bundled data set, each event for "
        "several accounts of other names. Percentiles are not written while a worker catches up: ranks are as for a "
        "log's first day."
    ),
    full=Size(runs=3, events=300_000, accounts=6_000),
    quick=Size(events=30_000, accounts=500),
    measure=measure,
)

if __name__ == "__main__":
    run_alone(ROW)
