"""Many runs, one after the other, and what they came to."""

import gc
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from tests.sim.driver import Build
from tests.sim.simulation import Outcome, run

COLLECTED_EVERY: Final = 50


def outcomes(seeds: Iterable[int], build: type[Build] = Build) -> Iterator[Outcome]:
    """Run seed after seed. The collector works in between alone: within a run it would wake the dead."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        for count, seed in enumerate(seeds, 1):
            yield run(seed, build())
            if count % COLLECTED_EVERY == 0:
                gc.collect()
    finally:
        gc.collect()
        if enabled:
            gc.enable()


@dataclass(slots=True)
class Tally:
    """The sum of outcomes."""

    runs: int = 0
    excused: int = 0
    commits: int = 0
    steps: int = 0
    exits: "Counter[str]" = field(default_factory=Counter)
    violations: list[Outcome] = field(default_factory=list)
    cpu_s: float = 0.0

    def run_all(self, seeds: Iterable[int], build: type[Build] = Build) -> "Tally":
        started_s = time.process_time()
        for outcome in outcomes(seeds, build):
            self.runs += 1
            self.excused += outcome.is_excused
            self.commits += outcome.commits
            self.steps += outcome.steps
            self.exits += outcome.exits
            if outcome.violation is not None:
                self.violations.append(outcome)
        self.cpu_s += time.process_time() - started_s
        return self

    def __str__(self) -> str:
        exits = ", ".join(f"{name} {count}" for name, count in self.exits.most_common())
        return (
            f"{self.runs} seeds, {len(self.violations)} violations, {self.excused} excused, {self.commits} commits, "
            f"{self.steps} steps, "
            f"{self.runs / max(self.cpu_s, 1e-9) * 60:.0f} seeds a minute of one core; workers ended: {exits}"
        )


def replay_command(seed: int, build: type[Build]) -> str:
    of = "" if build is Build else f" --build {build.__name__}"
    return f"python -m tests.sim --first-seed {seed} --seeds 1 --trace{of}"


def report(outcome: Outcome, build: type[Build] = Build) -> str:
    return f"seed {outcome.seed}: {outcome.violation}\n  replay: {replay_command(outcome.seed, build)}"
