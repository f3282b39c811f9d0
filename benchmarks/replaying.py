"""`pegel replay` over files."""

import os
import subprocess
import time
from pathlib import Path
from typing import Final

from benchmarks import load
from benchmarks.alone import run_alone
from benchmarks.figures import Figure, Row, Size
from benchmarks.rig import Rig, say

COPIES_QUICK_EVENTS: Final = 44_719


def measure(rig: Rig, size: Size) -> list[Figure]:
    copies = max(1, size.events // COPIES_QUICK_EVENTS)
    path = rig.folder / "real.ndjson"
    with path.open("wb") as file:
        file.writelines(event.raw + b"\n" for event in load.real(copies))
    events = COPIES_QUICK_EVENTS * copies
    long = [_replay(rig, path) for _ in range(size.runs)]
    short = [_replay(rig, load.REAL_EVENTS) for _ in range(size.runs)]
    path.unlink()
    return [
        Figure(
            what=f"pegel replay, default catalog, real data set {copies} times over", unit="events/s", target=60_000,
            stretch=120_000, more_is_better=True, runs=tuple(events / wall_s for wall_s, _, _ in long),
            beside={
                "CPU s": round(min(cpu for _, cpu, _ in long), 1),
                "peak MiB": max(peak for _, _, peak in long) >> 20,
                "events": events,
            },
        ),
        Figure(
            what="pegel replay, the real data set once, start included", unit="s",
            runs=tuple(wall_s for wall_s, _, _ in short),
            beside={"peak MiB": max(peak for _, _, peak in short) >> 20, "events": COPIES_QUICK_EVENTS},
        ),
    ]  # fmt: skip


def _replay(rig: Rig, path: Path) -> tuple[float, float, int]:
    """Wall time, processor time and the greatest resident memory of the whole command."""
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
    cpu = usage.ru_utime + usage.ru_stime
    say(f"{wall_s:.1f} s, {cpu:.1f} s CPU, {usage.ru_maxrss >> 10} MiB")
    return wall_s, cpu, usage.ru_maxrss << 10


ROW: Final = Row(
    name="replay",
    title="Replay of files",
    how=(
        "The command as a user runs it, start and end included, transitions written to nowhere: the real data set "
        "with each event for several accounts (plain NDJSON), and as it is bundled (gzip). Events by wall time; the "
        "greatest resident memory, which holds accounts and all transitions."
    ),
    full=Size(runs=3, events=450_000),
    quick=Size(events=44_719),
    measure=measure,
)

if __name__ == "__main__":
    run_alone(ROW)
