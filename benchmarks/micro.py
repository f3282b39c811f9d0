"""Instructions per unit of each step of the engine: what a busy machine does not change.

Counted by valgrind's cachegrind where it is installed: all steps are run once, and once with some more passes of one;
the difference is that step's, without what precedes it and what is made once. Without valgrind the bytecodes that the
interpreter executes are counted instead; those of compiled modules do not show there.
"""

import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from benchmarks.alone import run_alone
from benchmarks.figures import Figure, Row, Size
from benchmarks.rig import LOG_TAIL_CHARS, ROOT, Rig, say
from benchmarks.workload import LOGS

UNITS: Final = {
    "decode": "event", "apply": "event", "evaluate": "evaluation", "encode": "record", "store": "account",
    "restore": "account",
}  # fmt: skip
PASSES: Final = 2
PARALLEL: Final = 2
COUNTED: Final = re.compile(r"I +refs: +([\d,]+)")
VALGRIND: Final = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")


def measure(rig: Rig, size: Size) -> list[Figure]:
    names = list(LOGS)[: size.accounts]
    has_valgrind = shutil.which("valgrind") is not None
    count, unit = (_instructions, "instructions") if has_valgrind else (_bytecodes, "bytecodes")
    say(f"counting {unit}")
    with ThreadPoolExecutor(PARALLEL) as pool:
        bases = {name: pool.submit(_counted, rig, name, "decode", 0) for name in names if has_valgrind}
        counts = {(name, step): pool.submit(count, rig, name, step) for name in names for step in UNITS}
        figures = []
        for (name, step), counted in counts.items():
            executed, units = counted.result()
            if has_valgrind:
                executed, units = executed - bases[name].result()[0], units * PASSES
            what = f"{step}, {name}"
            figures.append(Figure(what=what, unit=f"{unit} per {UNITS[step]}", runs=(executed / units,)))
        return figures


def _instructions(rig: Rig, name: str, step: str) -> tuple[int, int]:
    return _counted(rig, name, step, PASSES)


def _counted(rig: Rig, name: str, step: str, passes: int) -> tuple[int, int]:
    """Instructions of all that a process does, and the units of a pass."""
    done = _run(rig, "main", name, step, str(passes), prefix=VALGRIND)
    found = COUNTED.search(done.stderr)
    assert found is not None, f"valgrind says {done.stderr[-LOG_TAIL_CHARS:]}"
    return int(found[1].replace(",", "")), int(done.stdout)


def _bytecodes(rig: Rig, name: str, step: str) -> tuple[int, int]:
    units, executed = _run(rig, "count_bytecodes", name, step).stdout.split()
    return int(executed), int(units)


def _run(rig: Rig, function: str, *arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """A function of `workload` in the interpreter that is asked about; its own program comes before this tree's."""
    code = f"import sys; sys.path.append({str(ROOT)!r}); from benchmarks.workload import {function}; {function}()"
    environment = {**rig.interpreter.environment, "PYTHONHASHSEED": "0"}
    command = [*prefix, rig.interpreter.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=environment, cwd=rig.folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{function} {arguments}: {done.stderr[-LOG_TAIL_CHARS:]}")
    return done


ROW: Final = Row(
    name="micro",
    title="Steps of the engine",
    how=(
        "1,500 events of 30 accounts of the ten-segment job and of the mix, in memory, hash seed 0: decode an event; "
        "apply it, which evaluates all rules; evaluate alone; encode transitions and memberships; encode and decode an "
        "account's state. Instructions by cachegrind; without valgrind, bytecodes of pure "
        "Python."
    ),
    full=Size(accounts=2),
    quick=Size(accounts=1),
    measure=measure,
)

if __name__ == "__main__":
    run_alone(ROW)
