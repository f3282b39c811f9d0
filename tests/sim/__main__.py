# ruff: noqa: T201 - a command prints
"""``python -m tests.sim --seeds N --first-seed K``: a long campaign, or one seed with its trace."""

import argparse
import sys
from collections.abc import Iterator
from typing import Final

from tests.sim.campaign import Tally, report
from tests.sim.driver import AckedBuild, Build
from tests.sim.mutants import MUTANTS, LateRequests

BUILDS: Final[tuple[type[Build], ...]] = (Build, AckedBuild, LateRequests, *MUTANTS)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--build", choices=[one.__name__ for one in BUILDS], default="Build")
    parser.add_argument("--trace", action="store_true", help="print what happened in every run that failed")
    given = parser.parse_args()
    build = next(one for one in BUILDS if one.__name__ == given.build)
    tally = Tally()
    for first in _hundreds(given.first_seed, given.seeds):
        known = len(tally.violations)
        tally.run_all(range(first, min(first + 100, given.first_seed + given.seeds)), build)
        for outcome in tally.violations[known:]:
            if given.trace:
                print(*outcome.trace.last(), sep="\n")
            print(report(outcome, build), flush=True)
    print(tally)
    return 1 if tally.violations else 0


def _hundreds(first: int, count: int) -> Iterator[int]:
    yield from range(first, first + count, 100)


if __name__ == "__main__":
    sys.exit(main())
