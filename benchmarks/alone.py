"""The command line that every row shares: `python -m benchmarks.ten_segments --events 500000 --runs 3`."""

import argparse
import signal
import sys
from dataclasses import replace

from benchmarks.figures import Figure, Row, Size
from benchmarks.report import figure_line
from benchmarks.rig import rig_for, say


def exit_on_sigterm() -> None:
    """So that a worker and the broker are ended too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def run_alone(row: Row) -> list[Figure]:
    """Measure one row and print what was found."""
    parser = argparse.ArgumentParser(description=row.how)
    parser.add_argument("--python", default=sys.executable, help="the interpreter that runs the workers")
    parser.add_argument("--quick", action="store_true", help="a small size, to see that it works")
    parser.add_argument("--runs", type=int)
    parser.add_argument("--events", type=int)
    parser.add_argument("--accounts", type=int)
    parser.add_argument("--seconds", type=float)
    given = parser.parse_args()
    asked = {name: value for name in ("runs", "events", "accounts", "seconds") if (value := getattr(given, name))}
    size: Size = replace(row.quick if given.quick else row.full, **asked)
    exit_on_sigterm()
    with rig_for(given.python) as rig:
        found = row.measure(rig, size)
    for figure in found:
        say(figure_line(figure))
    return found
