"""Runs into a table, for people and for machines."""

import json
import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.comparison.engines import Engine
from benchmarks.comparison.running import Job, Outcome

FOLDER: Final = Path(__file__).parent
COLUMNS: Final = (
    "engine",
    "guarantee",
    "state, made durable",
    "CPU s per million events (min-max)",
    "to Pegel",
    "broker's CPU s",
    "events/s",
    "changelog B per event",
    "peak MB",
    "events, accounts",
    "transitions",
)


@dataclass(frozen=True, slots=True)
class Measured:
    """One engine over all runs; medians with the extremes beside them."""

    engine: str
    guarantee: str
    state: str
    events: int
    accounts: int
    transitions: int
    cpu_s_per_million: tuple[float, ...]
    broker_cpu_s_per_million: tuple[float, ...]
    events_per_s: tuple[float, ...]
    wall_s: tuple[float, ...]
    changelog_bytes_per_event: tuple[float, ...]
    peak_mb: tuple[float, ...]


def measured(engine: Engine, job: Job, outcomes: Sequence[Outcome]) -> Measured:
    def each(value: Callable[[Outcome], float]) -> tuple[float, ...]:
        return tuple(round(value(outcome), 2) for outcome in outcomes)

    return Measured(
        engine=engine.name,
        guarantee=engine.guarantee,
        state=engine.state,
        events=job.events,
        accounts=job.accounts,
        transitions=outcomes[0].transitions,
        cpu_s_per_million=each(lambda one: one.span.cpu_s_per_million),
        broker_cpu_s_per_million=each(lambda one: one.span.broker_cpu_s_per_million),
        events_per_s=each(lambda one: one.span.events_per_s),
        wall_s=each(lambda one: one.span.seconds),
        changelog_bytes_per_event=each(lambda one: one.changelog_bytes / job.events),
        peak_mb=each(lambda one: one.peak_bytes / (1 << 20)),
    )


def table(rows: Sequence[Measured]) -> str:
    lines = [
        f"| {' | '.join(COLUMNS)} |",
        f"|{'---|' * len(COLUMNS)}",
    ]
    own = next((statistics.median(row.cpu_s_per_million) for row in rows if row.engine == "pegel"), None)
    for row in rows:
        cpu = statistics.median(row.cpu_s_per_million)
        spread = f"{min(row.cpu_s_per_million):.1f}-{max(row.cpu_s_per_million):.1f}"
        lines.append(
            f"| {row.engine} | {row.guarantee} | {row.state} | **{cpu:.1f}** ({spread}) "
            f"| {f'{cpu / own:.1f}x' if own else ''} | {statistics.median(row.broker_cpu_s_per_million):.1f} "
            f"| {statistics.median(row.events_per_s):,.0f} | {statistics.median(row.changelog_bytes_per_event):.0f} "
            f"| {statistics.median(row.peak_mb):.0f} | {row.events:,}, {row.accounts:,} | {row.transitions:,}, equal |"
        )
    return "\n".join(lines)


def environment() -> dict[str, Any]:
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = next((line.split(":", 1)[1].strip() for line in cpuinfo.splitlines() if "model name" in line), "unknown")
    return {"cpu": model, "cores": os.cpu_count(), "system": platform.platform(), "load": os.getloadavg()}


def write(rows: Sequence[Measured], command: str, versions: Mapping[str, str], warm: float) -> None:
    """RESULTS.md and results.json, beside this file."""
    machine = environment()
    content = {"command": command, "machine": machine, "versions": dict(versions), "warm": warm}
    runs = {"engines": [asdict(row) for row in rows]}
    (FOLDER / "results.json").write_text(json.dumps(content | runs, indent=2) + "\n", encoding="utf-8")
    said = ", ".join(f"{name} {version}" for name, version in versions.items())
    text = f"""# The comparison: figures

Written by `{command}`. What they mean, what is equal and what is not: [README.md](README.md).

{table(rows)}

{len(rows[0].wall_s)} runs of each engine, one after the other and in turn; medians. The first {warm:.0%} of the events
warm up and are not counted. {machine["cpu"]}, {machine["cores"]} cores, {machine["system"]}; load average when done
{machine["load"][0]:.1f}. {said}.
"""
    (FOLDER / "RESULTS.md").write_text(text, encoding="utf-8")
