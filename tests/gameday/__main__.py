"""`python -m tests.gameday`: cause every fault, see which alerts fire, do what the runbooks say, write the page."""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Final

from streams.metrics import series_max
from tests.gameday.alerts import are_there, is_calm, judge
from tests.gameday.ground import CANARY, WORKERS, Ground, ground
from tests.gameday.paper import PAGE, written_into
from tests.gameday.results import RESULTS, GameDay, Outcome, Scraped, read, stored
from tests.gameday.scenarios import SCENARIOS, Scenario
from tests.gameday.truth import Truth, truth

ROOT: Final = Path(__file__).parents[2]
FACTOR: Final = "1/30"
CALM_S: Final = 420.0
FIRE_S: Final = 300.0
LINGER_S: Final = 3.0
SETTLED_S: Final = 20.0
POLL_S: Final = 0.5
SCRAPES: Final = 30


def say(line: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")


def main() -> None:
    given = _arguments().parse_args()
    if given.page:
        PAGE.write_text(written_into(PAGE.read_text(), read(RESULTS.read_bytes())))
        return
    prometheus = shutil.which("prometheus")
    if prometheus is None:
        sys.exit("no prometheus on the PATH; install the package prometheus")
    chosen = [one for one in SCENARIOS if not given.only or one.name in given.only]
    whole = len(chosen) == len(SCENARIOS)
    folder = Path(tempfile.mkdtemp(prefix="pegel-gameday-")) / "run"
    say(f"logs are in {folder}")
    with ground(folder, prometheus, given.factor, say) as place:
        day = run(place, chosen, given.factor)
    if given.out is not None:
        given.out.write_bytes(stored(day))
    if whole:
        RESULTS.write_bytes(stored(day))
        PAGE.write_text(written_into(PAGE.read_text(), day))
        say(f"wrote {PAGE}")
    if day.is_right:
        shutil.rmtree(folder.parent)
    say("all is right" if day.is_right else f"not right: {', '.join(day.wrong)}; logs are in {folder}")
    sys.exit(not day.is_right)


def run(place: Ground, chosen: list[Scenario], factor: Fraction) -> GameDay:
    began_s = time.monotonic()
    time.sleep(SETTLED_S)
    first = {name: place.scrape(name)[0] for name in (*WORKERS, CANARY)}
    outcomes = [played(place, one) for one in chosen]
    scraped, end = _ended(place, first)
    say(f"the end: {end}")
    took_s = time.monotonic() - began_s
    return GameDay(str(factor), took_s, _circumstances(), tuple(outcomes), tuple(scraped), end)


def played(place: Ground, one: Scenario) -> Outcome:
    say(f"{one.name}: wait for calm")
    place.await_that(lambda: is_calm(place.watch.latest(), one.expected), "calm", CALM_S)
    place.steps.clear()
    before = place.watch.latest()
    fault_s = time.monotonic()
    say(f"{one.name}: {one.fault}")
    one.cause(place)
    fired = _waited(lambda: are_there(place.watch.latest(), before.firing, one.expected), FIRE_S)
    say(f"{one.name}: {'fired' if fired else 'NOT ALL FIRED'} after {time.monotonic() - fault_s:.0f} s")
    time.sleep(LINGER_S)
    one.look(place)
    repair_s = time.monotonic()
    one.mend(place)
    say(f"{one.name}: mended within {time.monotonic() - repair_s:.0f} s")
    gone = _waited(lambda: is_calm(place.watch.latest(), one.expected), CALM_S)
    say(f"{one.name}: {'over' if gone else 'NOT OVER'} after {time.monotonic() - repair_s:.0f} s")
    verdict = judge(place.watch.looks, fault_s, repair_s, one.expected, one.follows)
    found = truth(place)
    say(f"{one.name}: {[(f.alarm.name, f.alarm.subject, round(f.after_s)) for f in verdict.fired]}; {found}")
    return Outcome(one.name, one.fault, one.runbook, one.expected, verdict, tuple(place.steps), found)


def _waited(condition: Callable[[], bool], timeout_s: float) -> bool:
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(POLL_S)
    return True


def _ended(place: Ground, first: Mapping[str, int]) -> tuple[list[Scraped], Truth]:
    """Stop what makes events, let all be worked off, and compare once more, exactly."""
    place.load.end()
    truth(place)
    scraped = [_scraped(place, name, first[name]) for name in (*WORKERS, CANARY)]
    place.crew.leave(CANARY)
    truth(place)
    for name in WORKERS:
        place.crew.leave(name)
    return scraped, truth(place, exactly=True)


def _scraped(place: Ground, name: str, first: int) -> Scraped:
    series, took_s = zip(*(place.scrape(name) for _ in range(SCRAPES)), strict=True)
    at = f'scrape_duration_seconds{{instance="{name}"}}[6h]'
    asked = (f"quantile_over_time(0.5, {at})", f"quantile_over_time(0.99, {at})", f"max_over_time({at})")
    of_prometheus = [1_000 * place.watch.query(expr)[0][1] for expr in asked]
    stage = name.partition("-")[0]
    return Scraped(name, first, max(series), series_max(stage), 1_000 * median(took_s), *of_prometheus)


def _circumstances() -> dict[str, str]:
    revision = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always"], capture_output=True, text=True, check=False
    )
    return {
        "machine": f"{os.cpu_count()} cores, everything on it",
        "load": f"{os.getloadavg()[2]:.1f} processes at work over the last quarter of an hour",
        "Python": platform.python_version(),
        "broker": "Apache Kafka from jars, one",
        "revision": revision.stdout.strip(),
    }


def _arguments() -> argparse.ArgumentParser:
    names = [one.name for one in SCENARIOS]
    parser = argparse.ArgumentParser("python -m tests.gameday", description="Cause faults; see alerts; mend.")
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--factor", type=Fraction, default=Fraction(FACTOR), metavar="X", help="1/30: how fast")
    parser.add_argument("--out", type=Path, metavar="FILE", help="results as JSON, there too")
    parser.add_argument(
        "--page", action="store_true", help="break nothing; write the page of the results that are kept"
    )
    return parser


if __name__ == "__main__":
    main()
