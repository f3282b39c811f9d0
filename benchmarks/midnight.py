"""Deadlines that are all due at once, and how long events wait meanwhile."""

import re
import subprocess
from pathlib import Path
from typing import Final

from benchmarks.alone import run_alone
from benchmarks.figures import Figure, Row, Size
from benchmarks.rig import ROOT, Rig, say

PROGRAM: Final = Path(__file__).with_name("deadlines.py")
RATE: Final = 500
WORK: Final = re.compile(r"midnight: [\d.]+ s, [\d.]+ s CPU, ([\d.]+) of them for deadlines")
MEANWHILE: Final = re.compile(r"meanwhile: \d+ events, append -> readable p50 \d+ ms, p99 (\d+) ms")


def measure(rig: Rig, size: Size) -> list[Figure]:
    """With a broker of its own: the program is one that can be run alone."""
    work, waits = [], []
    for _ in range(size.runs):
        command = [rig.interpreter.executable, str(PROGRAM), "--accounts", str(size.accounts), "--rate", str(RATE)]
        done = subprocess.run(
            command, env=dict(rig.interpreter.environment), cwd=ROOT, capture_output=True, text=True, check=False
        )
        say(done.stdout.strip())
        worked, meanwhile = WORK.search(done.stdout), MEANWHILE.search(done.stdout)
        if worked is None:
            raise RuntimeError(f"no figure found: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        work.append(float(worked[1]))
        if meanwhile is not None:  # else it was over before an event came
            waits.append(float(meanwhile[1]))
    found = [
        Figure(
            what=f"{size.accounts:,} deadlines due at once, work", unit="CPU s", target=10, stretch=5, runs=tuple(work)
        )
    ]
    if waits:
        found.append(Figure(what=f"events' p99 meanwhile, {RATE}/s", unit="ms", target=500, runs=tuple(waits)))
    return found


ROW: Final = Row(
    name="deadlines",
    title="A midnight with everything due",
    how=(
        "`benchmarks/deadlines.py`: accounts that are all due at the same midnight by the default catalog, 10 % of "
        "which then change segments; events of new accounts come at 500 a second before and meanwhile. Work: the "
        "worker's processor time until all deadlines have fired, less what events took before, per second."
    ),
    full=Size(accounts=1_000_000),
    quick=Size(accounts=10_000),
    measure=measure,
)

if __name__ == "__main__":
    run_alone(ROW)
