"""The runtime's protocol under faults that a seed decides. ``--seeds 20000`` for the long form."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.sim import simulation
from tests.sim.campaign import Tally, outcomes, report
from tests.sim.driver import SILENCE_S, AckedBuild, Build
from tests.sim.mutants import MUTANTS
from tests.sim.network import Weather
from tests.sim.plan import FaultKind, Plot
from tests.sim.simulation import CALM_AFTER_S, Run, run

ROOT = Path(__file__).parents[2]
SHARDS = 2
EXCUSED_RATE_MAX = 0.1
HASH_ELSEWHERE = "import sys; from tests.sim.simulation import run; print(run(int(sys.argv[1])).trace.hash())"


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.timeout(0)
def test_each_record_counts_exactly_once_whatever_fails(request: pytest.FixtureRequest, shard: int) -> None:
    first, count = request.config.getoption("--first-seed"), request.config.getoption("--seeds")
    tally = Tally().run_all(range(first + shard, first + count, SHARDS))
    assert not tally.violations, "\n".join(report(outcome) for outcome in tally.violations)
    assert tally.commits > tally.runs, "too little was committed to prove anything"
    assert tally.excused < EXCUSED_RATE_MAX * tally.runs


@pytest.mark.timeout(0)
def test_without_transactions_nothing_is_lost_and_what_comes_twice_is_the_same(request: pytest.FixtureRequest) -> None:
    first, count = request.config.getoption("--first-seed"), request.config.getoption("--seeds") // 2
    tally = Tally().run_all(range(first, first + count), AckedBuild)
    assert not tally.violations, "\n".join(report(outcome, AckedBuild) for outcome in tally.violations)
    assert tally.commits > tally.runs


def test_two_who_both_have_a_repair_to_make_do_not_undo_each_others_for_ever() -> None:
    """Once, the rest of a repair that was overtaken went beside the next owner's, and left both more to repair."""
    assert run(220_909, AckedBuild()).violation is None


@pytest.mark.timeout(0)
@pytest.mark.parametrize(("build", "seeds_max"), MUTANTS.items(), ids=lambda one: getattr(one, "__name__", str(one)))
def test_a_deliberate_bug_is_told_within_so_many_seeds(build: type[Build], seeds_max: int) -> None:
    assert any(outcome.violation is not None for outcome in outcomes(range(seeds_max), build))


@pytest.mark.parametrize("seed", range(3))
def test_a_seed_is_the_whole_run(seed: int) -> None:
    here = run(seed)
    assert len(here.trace) > 100
    assert here.trace.hash() == run(seed).trace.hash()
    # Neither addresses nor the order of hashes decide anything.
    elsewhere = subprocess.run(
        [sys.executable, "-c", HASH_ELSEWHERE, str(seed)],
        env={**os.environ, "PYTHONHASHSEED": str(seed + 1)},
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert elsewhere.stdout.strip() == here.trace.hash()


def test_other_seeds_are_other_runs() -> None:
    assert len({outcome.trace.hash() for outcome in outcomes(range(20))}) == 20


def test_a_failing_seed_says_how_to_see_it_again() -> None:
    build = next(iter(MUTANTS))
    failing = next(outcome for outcome in outcomes(range(200), build) if outcome.violation is not None)
    command = f"python -m tests.sim --first-seed {failing.seed} --seeds 1 --trace --build {build.__name__}"
    assert command in report(failing, build)
    again = subprocess.run(
        [sys.executable, *command.split()[1:]], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert again.returncode == 1
    assert failing.violation is not None
    assert failing.violation in again.stdout
    assert failing.trace.last()[-1] in again.stdout


def test_every_fault_and_every_plot_comes_up() -> None:
    plans = [Run(seed, Build()).plan for seed in range(200)]
    assert {fault.kind for one in plans for fault in one.faults} == set(FaultKind)
    assert {one.plot for one in plans} == set(Plot)


def test_a_worker_without_partitions_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "CALM_AFTER_S", CALM_AFTER_S + 3 * SILENCE_S)
    calm = replace(
        Run(1, Build()).plan, partitions=1, workers=3, faults=(), weather=Weather(0.001, 0.0, 0.0, 0.0, "", 0.001)
    )
    outcome = Run(1, Build(), calm).run()
    assert outcome.violation is None
    assert not outcome.exits
