"""`pegel replay` over files."""

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import load
from benchmarks.alone import run_alone
from benchmarks.figures import Figure, Row, Size
from benchmarks.rig import Rig, say

REAL_EVENTS: Final = 44_719


def measure(rig: Rig, size: Size) -> list[Figure]:
    path = rig.folder / "mixed.ndjson"
    with path.open("wb") as file:
        file.writelines(event.raw + b"\n" for event in load.mixed(size.events, size.accounts))
    real = [_replay(rig, load.REAL_EVENTS) for _ in range(size.runs)]
    mix = [_replay(rig, path) for _ in range(size.runs)]
    path.unlink()
    return [
        Figure(
            what="pegel replay, default catalog, real data set", unit="events/s", target=60_000, stretch=120_000,
            more_is_better=True, runs=tuple(REAL_EVENTS / one.wall_s for one in real), beside=_beside(real),
        ),
        Figure(
            what="pegel replay, default catalog, real mix of events over a month", unit="events/s",
            more_is_better=True, runs=tuple(size.events / one.wall_s for one in mix),
            beside={"events": size.events, **_beside(mix)},
        ),
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Used:
    """What a whole command took; `peak_bytes` is its greatest resident memory."""

    wall_s: float
    cpu_s: float
    peak_bytes: int


def _beside(runs: list[Used]) -> dict[str, float]:
    return {
        "CPU s": round(min(one.cpu_s for one in runs), 1),
        "peak MiB": max(one.peak_bytes for one in runs) >> 20,
    }


def _replay(rig: Rig, path: Path) -> Used:
    command = rig.interpreter.command("replay", str(path), "--catalog", "default")
    began = time.monotonic()
    process = subprocess.Popen(
        command, env=dict(rig.interpreter.environment), cwd=rig.folder, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.monotonic() - began
    if process.returncode != 0:
        raise RuntimeError(f"replay ended with {process.returncode}")
    used = Used(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10)
    say(f"{path.name}: {used.wall_s:.1f} s, {used.cpu_s:.1f} s CPU, {used.peak_bytes >> 20} MiB")
    return used


ROW: Final = Row(
    name="replay",
    title="Replay of files",
    how=(
        "The command as a user runs it, start and end included, transitions written to nowhere. The real data set as "
        "it is bundled (gzip, thirteen years: percentiles of all accounts are looked up for each of some 4,700 days), "
        "and a month of the default catalog's mix (plain). Events by wall time; the greatest resident memory, which "
        "holds accounts and all transitions."
    ),
    full=Size(runs=3, events=200_000, accounts=10_000),
    quick=Size(events=20_000, accounts=500),
    measure=measure,
)

if __name__ == "__main__":
    run_alone(ROW)
