"""Where Kafka's jars and Java come from, and what is said when they do not."""

import stat
from pathlib import Path

import pytest

from streams.dev import jars
from streams.dev.jars import UnavailableError, cache_folder, find_classpath, find_java, pom_file


def executable(file: Path, script: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an empty PATH and an empty cache."""
    for name in ("KAFKA_HOME", "JAVA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(
        "shutil.which", lambda name: str(tmp_path / "bin" / name) if (tmp_path / "bin" / name).exists() else None
    )
    return tmp_path


def test_kafka_home_wins_and_nothing_is_downloaded(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bare / "kafka" / "libs").mkdir(parents=True)
    (bare / "kafka" / "libs" / "kafka_2.13-4.3.1.jar").touch()
    monkeypatch.setenv("KAFKA_HOME", str(bare / "kafka"))

    assert find_classpath(pytest.fail) == str(bare / "kafka" / "libs" / "*")


def test_a_kafka_home_without_kafka_is_refused(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_HOME", str(bare))

    with pytest.raises(UnavailableError, match=r"KAFKA_HOME=.* has no libs"):
        find_classpath(pytest.fail)


def test_without_maven_and_kafka_home_both_ways_out_are_named(bare: Path) -> None:
    with pytest.raises(UnavailableError, match=r"no mvn .* KAFKA_HOME is not set"):
        find_classpath(pytest.fail)


def test_jars_are_downloaded_once(bare: Path) -> None:
    runs = bare / "runs"
    script = f"""
        echo run >> {runs}
        for argument in "$@"; do
            case $argument in -DoutputDirectory=*) folder=${{argument#*=}};; esac
        done
        mkdir -p "$folder" && touch "$folder/kafka.jar"
    """
    executable(bare / "bin" / "mvn", script)
    told: list[str] = []

    first, second = find_classpath(told.append), find_classpath(told.append)

    assert first == second
    assert [one.name for one in Path(first).parent.iterdir()] == ["kafka.jar"]
    assert runs.read_text() == "run\n"
    assert len(told) == 1


def test_a_failed_download_leaves_nothing_and_repeats_what_maven_said(bare: Path) -> None:
    executable(bare / "bin" / "mvn", "echo no route to host; exit 1")

    with pytest.raises(UnavailableError, match="no route to host"):
        find_classpath(lambda _: None)
    assert list((cache_folder() / "kafka").iterdir()) == []


def test_no_java_is_said(bare: Path) -> None:
    with pytest.raises(UnavailableError, match="no java on the PATH; install Java 17"):
        find_java()


@pytest.mark.parametrize(
    ("version", "usable"), [("1.8.0_402", False), ("11.0.2", False), ("17.0.15", True), ("25", True)]
)
def test_java_must_be_17_or_newer(bare: Path, version: str, *, usable: bool) -> None:
    java = executable(bare / "bin" / "java", f"echo 'openjdk version \"{version}\"' >&2")

    if usable:
        assert find_java() == str(java)
    else:
        with pytest.raises(UnavailableError, match="needs 17 or newer"):
            find_java()


def test_java_home_wins_over_the_path(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = executable(bare / "jdk" / "bin" / "java", "echo 'openjdk version \"21\"' >&2")
    monkeypatch.setenv("JAVA_HOME", str(bare / "jdk"))

    assert find_java() == str(java)


def test_the_list_of_jars_is_found_in_a_checkout_and_in_an_installed_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "kafka_2.13" in pom_file().read_text()

    (tmp_path / "pom.xml").write_text("<project/>")
    monkeypatch.setattr(jars, "__file__", str(tmp_path / "jars.py"))
    assert pom_file() == tmp_path / "pom.xml"
