import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PARENT = """
import os, sys
from streams.runtime.family import Child, run_family
programs = dict(argument.split("=", 1) for argument in sys.argv[1:])
children = [Child(name, [sys.executable, "-c", program]) for name, program in programs.items()]
sys.exit(run_family(children, 2))
"""
DIES_WITH_ITS_PARENT = "from streams.runtime.family import die_with; import os; die_with(os.getppid())"
GOOD = """
import os, pathlib, signal, sys, time
signal.signal(15, lambda *_: sys.exit(0))
pathlib.Path({!r}).write_text(str(os.getpid()))
time.sleep(60)
"""


def family(tmp_path: Path, **programs: str) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = [f"{name}={program}" for name, program in programs.items()]
    return subprocess.Popen([sys.executable, "-c", PARENT, *arguments], env=environment)


def pid_in(file: Path) -> int:
    end = time.monotonic() + 20
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return int(file.read_text())


def wait_until_gone(pid: int) -> None:
    end = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and "State:\tZ" not in Path(f"/proc/{pid}/status").read_text():
        assert time.monotonic() < end, f"{pid} still runs"
        time.sleep(0.02)


def test_when_one_fails_all_end_with_its_exit_code(tmp_path: Path) -> None:
    file = tmp_path / "good"
    failing = f"import time, os, sys\nwhile not os.path.exists({str(file)!r}): time.sleep(0.02)\nsys.exit(70)"
    parent = family(tmp_path, good=GOOD.format(str(file)), failing=failing)
    assert parent.wait(30) == 70
    wait_until_gone(pid_in(file))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_in_order(tmp_path: Path, number: signal.Signals) -> None:
    files = [tmp_path / "one", tmp_path / "two"]
    parent = family(tmp_path, one=GOOD.format(str(files[0])), two=GOOD.format(str(files[1])))
    pids = [pid_in(file) for file in files]
    parent.send_signal(number)
    assert parent.wait(30) == 0
    for pid in pids:
        wait_until_gone(pid)


def test_a_child_that_does_not_listen_is_killed_in_the_end(tmp_path: Path) -> None:
    file = tmp_path / "deaf"
    deaf = "import signal; signal.signal(15, signal.SIG_IGN); signal.signal = print; " + GOOD.format(str(file))
    parent = family(tmp_path, deaf=deaf)
    pid = pid_in(file)
    parent.terminate()
    assert parent.wait(30) == 128 + signal.SIGKILL
    wait_until_gone(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_children_of_a_killed_parent_end(tmp_path: Path) -> None:
    file = tmp_path / "child"
    parent = family(tmp_path, child=DIES_WITH_ITS_PARENT + GOOD.format(str(file)))
    pid = pid_in(file)
    parent.kill()
    parent.wait(10)
    wait_until_gone(pid)
