"""Where the jars of Apache Kafka and a Java to run them come from.

`KAFKA_HOME` wins, where somebody has a distribution already. Else the jars named in `deploy/dev-kafka/pom.xml` are
brought by Maven once and kept in the user's cache, in a folder named by that file's hash: another version is another
folder. The folder appears by a rename when it is complete, so a broken download leaves nothing behind and two at once
do no harm.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from streams.errors import ExpectedError

JAVA_VERSION_MIN: Final = 17
JAVA_TIMEOUT_S: Final = 30
MAVEN_TIMEOUT_S: Final = 600
OUTPUT_CHARS_MAX: Final = 2_000

Report = Callable[[str], None]


class UnavailableError(ExpectedError):
    """This kind of broker cannot run here. The text says why."""


def find_java() -> str:
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home and Path(home, "bin", "java").exists() else shutil.which("java")
    if java is None:
        raise UnavailableError(f"no java on the PATH; install Java {JAVA_VERSION_MIN} or newer")
    try:
        run = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=JAVA_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"{java} does not run: {error}") from None
    found = re.search(r'version "(?:1\.)?(\d+)', run.stderr + run.stdout)
    if found is None or int(found[1]) < JAVA_VERSION_MIN:
        version = found[1] if found else "an unknown version"
        raise UnavailableError(f"{java} is Java {version}; Kafka needs {JAVA_VERSION_MIN} or newer")
    return java


def find_classpath(report: Report) -> str:
    """A Java class path with all of Kafka, downloaded when it is not there yet."""
    home = os.environ.get("KAFKA_HOME")
    if home:
        libs = Path(home, "libs")
        if not any(libs.glob("kafka_2.1*.jar")):
            raise UnavailableError(f"KAFKA_HOME={home} has no libs/kafka_2.13-*.jar; unset it or correct it")
        return str(libs / "*")
    pom = pom_file()
    folder = cache_folder() / "kafka" / hashlib.sha256(pom.read_bytes()).hexdigest()[:16]
    if not folder.is_dir():
        _download(pom, folder, report)
    return str(folder / "*")


def pom_file() -> Path:
    """The list of jars: beside this module where the package is installed, in deploy/ in a checkout."""
    here = Path(__file__).resolve().parent
    for candidate in (here / "pom.xml", here.parents[1] / "deploy" / "dev-kafka" / "pom.xml"):
        if candidate.is_file():
            return candidate
    raise UnavailableError("the package lacks dev/pom.xml; install it again")


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    if base:
        return Path(base) / "pegel"
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "pegel"


def _download(pom: Path, folder: Path, report: Report) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise UnavailableError("no mvn on the PATH to bring Kafka's jars, and KAFKA_HOME is not set; do one of both")
    report("bringing Apache Kafka's jars by Maven (43 MB, once)")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        fresh = Path(scratch, "libs")
        command = [maven, "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={fresh}"]
        try:
            run = subprocess.run(command, capture_output=True, text=True, timeout=MAVEN_TIMEOUT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UnavailableError(f"Maven did not bring Kafka's jars: {error}") from None
        if run.returncode != 0:
            said = (run.stdout + run.stderr).strip()[:OUTPUT_CHARS_MAX]
            raise UnavailableError(f"Maven did not bring Kafka's jars: {said}")
        try:
            fresh.rename(folder)
        except OSError:
            if not folder.is_dir():  # else somebody else was quicker: the same jars
                raise
