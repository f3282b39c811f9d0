"""What tests need that is no package of Python: found, or the test skips and names the fix; in CI it fails.

Packages are brought once, by the lock file that lies beside what uses them, into the user's cache in a folder named by
that file's hash, as `streams.dev.jars` does it with Kafka.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NoReturn

import pytest

from streams.dev.jars import cache_folder

INSTALL_TIMEOUT_S: Final = 240
TOLD_CHARS_MAX: Final = 2_000


def missing(reason: str) -> NoReturn:
    """A skipped test would look like a passed one in CI."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def program(name: str, package: str) -> str:
    """Where a program is."""
    return shutil.which(name) or missing(f"no {name} on the PATH; install the package {package}")


def node_program(folder: Path, script: str) -> list[str]:
    """The command that runs a folder's script with the packages of its package-lock.json beside it."""
    node, npm = program("node", "nodejs"), program("npm", "npm")
    names = ("package.json", "package-lock.json")
    target = cache_folder() / "node" / _digest(folder / name for name in names)
    if not target.is_dir():
        with _scratch(target) as scratch:
            for name in names:
                shutil.copy(folder / name, scratch)
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
            _run(command, Path(scratch), "npm did not bring the packages")
            _appear(Path(scratch), target)
    placed = target / f"{_digest([folder / script])}-{script}"
    if not placed.is_file():
        shutil.copy(folder / script, placed)
    return [node, str(placed)]


def java_classes(folder: Path, classes: str) -> str:
    """The class path of a Maven project: compiled, its jars beside it. Keyed by its pom and sources."""
    program("javac", "openjdk-17-jdk-headless")
    maven = program("mvn", "maven")
    sources = sorted(path for path in folder.rglob("*") if path.is_file() and "target" not in path.parts)
    target = cache_folder() / "java" / _digest(sources)
    if not target.is_dir():
        with _scratch(target) as scratch:
            project = Path(scratch, "project")
            shutil.copytree(folder, project, ignore=shutil.ignore_patterns("target"))
            command = [maven, "-q", "-B", "compile"]
            _run(command, project, "Maven did not build the project")
            _appear(project / "target", target)
    return os.pathsep.join((str(target / classes), str(target / "libs" / "*")))


def _digest(files: Iterable[Path]) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def _scratch(target: Path) -> "tempfile.TemporaryDirectory[str]":
    target.parent.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=target.parent, ignore_cleanup_errors=True)


def _appear(made: Path, target: Path) -> None:
    """By a rename once it is complete: what broke off leaves nothing behind, and two at once do no harm."""
    try:
        made.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def _run(command: list[str], folder: Path, failure: str) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        missing(f"{failure}: {error}")
    if done.returncode:
        missing(f"{failure}: {(done.stdout + done.stderr).strip()[-TOLD_CHARS_MAX:]}")
