"""Laws of the crew: whoever ends is started again, a zombie is not, and nobody outlives it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.chaos.crew import RESTART_PAUSE_S, Crew

PATIENCE_S = 30.0
SLEEPER = ([sys.executable, "-I", "-S", "-c", "import time; print('at work', flush=True); time.sleep(600)"], os.environ)
OWNER = """
import os, sys, time
from pathlib import Path
from tests.chaos.crew import Crew
crew = Crew(lambda name: (sys.argv[2:], os.environ), Path(sys.argv[1]))
crew.add("one-1")
while not crew.wait_for_line("one-1", "at work", 0, 1):
    pass
print(crew.pids()["one-1"], flush=True)
time.sleep(600)
"""


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    crew = Crew(lambda name: SLEEPER, tmp_path)
    crew.add("one-1")
    assert crew.wait_for_line("one-1", "at work", 0, PATIENCE_S)
    yield crew
    crew.end()


def becomes(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def gone(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def test_who_is_killed_is_started_again(crew: Crew) -> None:
    first = crew.pids()["one-1"]
    assert crew.kill("one-1")
    assert becomes(lambda: crew.pids().get("one-1", first) != first)
    assert crew.ends == {-signal.SIGKILL: 1}


def test_who_is_lost_stays_away_until_the_post_is_filled_anew(crew: Crew) -> None:
    crew.lose("one-1")
    assert becomes(lambda: crew.ends == {-signal.SIGKILL: 1})
    time.sleep(3 * RESTART_PAUSE_S)
    assert crew.pids() == {}
    crew.add("one-1")
    assert becomes(lambda: "one-1" in crew.pids())


def test_who_leaves_is_not_started_again(crew: Crew) -> None:
    crew.leave("one-1")
    assert crew.names == []
    assert crew.pids() == {}
    assert crew.starts == 1


def test_a_zombie_has_a_successor_and_its_end_is_counted_apart(crew: Crew) -> None:
    zombie = crew.stop_process("one-1")
    assert zombie is not None
    crew.replace("one-1", zombie)
    assert becomes(lambda: crew.pids().get("one-1", zombie.pid) != zombie.pid)
    assert crew.zombies == ["one-1"]
    crew.go_on(zombie)
    zombie.terminate()
    assert becomes(lambda: crew.zombies == [])
    assert crew.zombie_ends == {-signal.SIGTERM: 1}


def test_an_end_that_no_fault_explains_is_a_failure(crew: Crew) -> None:
    os.kill(crew.pids()["one-1"], signal.SIGSEGV)
    assert becomes(lambda: crew.ends.total() == 1)
    with pytest.raises(AssertionError, match="workers ended with"):
        crew.require_expected_ends()


def test_nobody_outlives_the_crew_not_even_stopped(tmp_path: Path) -> None:
    crew = Crew(lambda name: SLEEPER, tmp_path)
    crew.add("one-1")
    assert crew.wait_for_line("one-1", "at work", 0, PATIENCE_S)
    zombie = crew.stop_process("one-1")
    assert zombie is not None
    crew.replace("one-1", zombie)
    crew.end()
    assert gone(zombie.pid)
    assert crew.pids() == {}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie a process to its parent")
def test_nobody_outlives_a_test_that_is_killed(tmp_path: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path), *SLEEPER[0]], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    owner.kill()
    owner.communicate()
    assert becomes(lambda: gone(pid))
