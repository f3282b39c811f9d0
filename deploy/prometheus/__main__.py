"""`python -m deploy.prometheus`: write what is committed beside this file, or the rules of another site.

python -m deploy.prometheus                       rules/*.yml and cases/*.yml here, and the list of runbooks
python -m deploy.prometheus --out FOLDER ...      the rules alone, for a site of your own
"""

import argparse
import sys
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

from deploy.prometheus.documents import committed, rules_files
from deploy.prometheus.pace import Pace
from deploy.prometheus.rules import Site

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def main() -> None:
    given = _arguments().parse_args()
    if given.out is not None:
        site = Site(
            Pace(float(given.factor), given.window_min_s), given.runbooks.rstrip("/"), given.dashboards.rstrip("/"),
            given.jobs, round(given.memory_limit_mib * 2**20),
        )  # fmt: skip
        _write(given.out, rules_files(site))
    else:
        _write(ROOT, committed())


def _write(folder: Path, files: Iterable[tuple[str, str]]) -> None:
    for name, content in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text() != content:
            path.write_text(content)
            sys.stderr.write(f"wrote {path}\n")


def _arguments() -> argparse.ArgumentParser:
    usual = Site()
    parser = argparse.ArgumentParser("python -m deploy.prometheus", description="Write Prometheus' rules for Pegel.")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write rules there, made for what follows")
    parser.add_argument("--runbooks", default=usual.runbooks, metavar="URL", help="where docs/runbooks is served")
    parser.add_argument("--dashboards", default=usual.dashboards, metavar="URL", help="where Grafana shows dashboards")
    parser.add_argument("--jobs", default=usual.jobs, metavar="REGEX", help="`job` of Pegel's processes")
    parser.add_argument(
        "--memory-limit-mib", type=float, default=usual.memory_limit_bytes / 2**20, metavar="N",
        help="what a worker may take",
    )  # fmt: skip
    parser.add_argument(
        "--factor", type=Fraction, default=Fraction(1), metavar="X", help="1/60: an hour's window is a minute"
    )
    parser.add_argument(
        "--window-min-s", type=float, default=0.0, metavar="S", help="no window is below it: some scrapes must fall in"
    )
    return parser


if __name__ == "__main__":
    main()
