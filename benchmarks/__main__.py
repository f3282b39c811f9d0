"""`python -m benchmarks [--rows a,b] [--quick]`: measure, and write RESULTS.md and results.json.

Rows that are not measured this time keep what was found last, and say at which revision that was.
"""

import argparse
import os
import sys
import time
import traceback
from dataclasses import replace
from typing import Final

from benchmarks import (
    deadlines,
    intake,
    latency,
    memory,
    micro,
    mixed,
    overload,
    pair,
    recovery,
    replaying,
    report,
    restart,
    scaling,
    ten_segments,
)
from benchmarks.alone import exit_on_sigterm
from benchmarks.figures import Row
from benchmarks.rig import rig_for, say

ROWS: Final = {
    row.name: row
    for row in (
        ten_segments.ROW, mixed.ROW, intake.ROW, latency.ROW, restart.ROW, recovery.ROW, memory.ROW, deadlines.ROW,
        scaling.ROW, pair.ROW, replaying.ROW, micro.ROW, overload.ROW,
    )
}  # fmt: skip
LONG: Final = ("overload",)
"""Not without being asked for."""


def chosen(text: str | None) -> list[Row]:
    """The rows that are asked for, in their order."""
    if text is None:
        return [row for row in ROWS.values() if row.name not in LONG]
    names = list(ROWS) if text == "all" else text.split(",")
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        raise SystemExit(f"no row {', '.join(unknown)}; there are {', '.join(ROWS)}")
    return [ROWS[name] for name in ROWS if name in names]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rows", help=f"some of {', '.join(ROWS)}; all. Without it, all but {', '.join(LONG)}")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works; writes no file")
    parser.add_argument("--runs", type=int, help="of each row, instead of its own number")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that runs the workers")
    given = parser.parse_args()
    rows = chosen(given.rows)
    exit_on_sigterm()
    failed: list[str] = []
    with rig_for(given.python) as rig:
        facts = report.circumstances(rig.interpreter)
        for row in rows:
            began, load = time.monotonic(), os.getloadavg()[0]
            say(f"-- {row.name}")
            size = row.quick if given.quick else row.full
            try:
                figures = row.measure(rig, replace(size, runs=given.runs) if given.runs else size)
            except Exception:  # noqa: BLE001 - it costs this row, not those that were or will be measured
                say(f"-- {row.name} failed:\n{traceback.format_exc()}")
                failed.append(row.name)
                continue
            for figure in figures:
                say(report.figure_line(figure))
            say(f"-- {row.name} took {time.monotonic() - began:.0f} s")
            if not given.quick:
                report.keep(row, figures, facts, _command(row, given.runs), load)
    if not given.quick:
        report.write_page(list(ROWS.values()))
        say(f"wrote {report.RESULTS.name} and {report.RESULTS_JSON.name}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def _command(row: Row, runs: int | None) -> str:
    return f"python -m benchmarks --rows {row.name}" + (f" --runs {runs}" if runs else "")


if __name__ == "__main__":
    main()
