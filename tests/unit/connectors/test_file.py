"""What is the file's own: whole lines, rotation, nothing outside the directory."""

import asyncio
import json
import os
import stat
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from streams.connectors.file import lines
from streams.connectors.file.config import FileConfig
from streams.connectors.file.connector import FileConnector, line_of
from streams.connectors.file.lines import LINE_BYTES_MAX, Lines, LineTooLongError
from streams.connectors.message import Message
from streams.connectors.outcome import Outcome
from streams.connectors.outcome import OutcomeKind as K
from tests.unit.connectors.kit import message
from tests.unit.connectors.kits.file import FileRig


def written(directory: Path, name: str = "alerts.ndjson") -> list[bytes]:
    return (directory / name).read_bytes().splitlines()


def make(directory: Path, rotate_bytes: int = 1 << 20, keep: int = 2) -> Lines:
    return Lines(directory, "alerts.ndjson", rotate_bytes, keep)


async def test_a_line_says_everything_and_when_it_was_written(tmp_path: Path) -> None:
    connector = FileConnector(FileRig(tmp_path).config())
    assert (await connector.deliver(message())).kind is K.OK
    await connector.close()
    [line] = written(tmp_path)
    said = json.loads(line)
    assert (said["delivery_id"], said["kind"], said["title"]) == (message().delivery_id, "note", "acme: at risk")
    assert said["written_at"] == "2026-03-01T12:34:58.001Z"
    assert said["items"] == [dict(message().transition)]


def test_a_line_is_synced_before_it_is_said_to_be_there_and_a_new_files_name_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bytes] = []

    def note(file: int) -> None:
        synced.append(b"directory" if stat.S_ISDIR(os.fstat(file).st_mode) else os.pread(file, 100, 0))

    monkeypatch.setattr(os, "fsync", note)
    make(tmp_path).append(b"a")
    make(tmp_path).append(b"b")
    make(tmp_path, rotate_bytes=5).append(b"c")
    assert synced == [b"a\n", b"directory", b"a\nb\n", b"c\n", b"directory"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(torn=st.binary(max_size=40).filter(lambda text: b"\n" not in text), count=st.integers(0, 3))
def test_a_line_that_a_crash_tore_is_cut_off_before_the_next(tmp_path: Path, torn: bytes, count: int) -> None:
    path = tmp_path / "alerts.ndjson"
    path.write_bytes(b"whole\n" * count + torn)
    assert make(tmp_path).append(b"next") == 6 * count
    assert path.read_bytes() == b"whole\n" * count + b"next\n"


@pytest.mark.parametrize("fails", ["write", "short", "fsync"])
def test_a_line_that_could_not_be_written_leaves_nothing(
    fails: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path).append(b"first")
    write = os.write

    def failing(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        if fails == "short":
            patch.setattr(os, "write", lambda file, text: write(file, text[:2]))
        else:
            patch.setattr(os, fails, failing)
        with pytest.raises(OSError, match=r"space|full"):
            make(tmp_path).append(b"second")
    assert written(tmp_path) == [b"first"]
    make(tmp_path).append(b"third")
    assert written(tmp_path) == [b"first", b"third"]


def test_a_file_is_rotated_before_it_gets_too_long_and_only_so_many_are_kept(tmp_path: Path) -> None:
    grown = make(tmp_path, rotate_bytes=100, keep=2)
    for number in range(20):
        grown.append(b"%03d" % number + b"x" * 30)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alerts.ndjson", "alerts.ndjson.1", "alerts.ndjson.2"]
    found = [
        line[:3] for name in ("alerts.ndjson.2", "alerts.ndjson.1", "alerts.ndjson") for line in written(tmp_path, name)
    ]
    assert found == [b"%03d" % number for number in range(20)][-len(found) :]
    assert all(path.stat().st_size <= 100 for path in tmp_path.iterdir())


def test_a_line_longer_than_a_file_has_one_to_itself(tmp_path: Path) -> None:
    grown = make(tmp_path, rotate_bytes=10)
    grown.append(b"a" * 30)
    grown.append(b"b" * 30)
    assert (written(tmp_path, "alerts.ndjson.1"), written(tmp_path)) == ([b"a" * 30], [b"b" * 30])


async def test_a_message_that_is_too_long_is_refused(tmp_path: Path) -> None:
    connector = FileConnector(FileRig(tmp_path).config())
    outcome = await connector.deliver(message(body="x" * LINE_BYTES_MAX))
    await connector.close()
    assert (outcome.kind, outcome.detail) == (K.REJECTED, "too_long")
    with pytest.raises(LineTooLongError):
        make(tmp_path).append(b"x" * LINE_BYTES_MAX)


async def test_what_a_crash_left_unknown_is_looked_up_also_after_a_rotation(tmp_path: Path) -> None:
    rig = FileRig(tmp_path)
    connector = FileConnector(rig.config())
    await connector.deliver(message())
    rig.path.rename(tmp_path / "alerts.ndjson.1")
    again = message(2, after_ambiguous=True)
    assert (await connector.deliver(again)).kind is K.OK
    assert not rig.path.exists()
    assert (await connector.deliver(replace(again, delivery_id="another"))).kind is K.OK
    assert rig.landed() == ["another"]
    await connector.close()


def test_looking_back_reads_no_more_than_so_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LOOK_BACK_BYTES", 20)
    grown = make(tmp_path)
    for word in (b"first", b"second", b"third", b"fourth"):
        grown.append(word)
    assert grown.holds(b"fourth")
    assert grown.holds(b"third")
    assert not grown.holds(b"first")


def test_a_link_leads_nowhere(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "alerts.ndjson").symlink_to(outside)
    with pytest.raises(OSError, match="symbolic"):
        make(inside).append(b"line")
    assert outside.read_bytes() == b"precious"


@pytest.mark.parametrize("kind", ["directory", "fifo", "missing", "others"])
async def test_what_is_no_file_of_ours_is_left_alone(kind: str, tmp_path: Path) -> None:
    rig = FileRig(tmp_path / "sub")
    if kind != "missing":
        rig.directory.mkdir()
    if kind == "directory":
        rig.path.mkdir()
    elif kind == "fifo":
        os.mkfifo(rig.path)
    elif kind == "others":
        rig.path.write_bytes(b"\0" * (2 << 20))
    connector = FileConnector(rig.config())
    outcome = await connector.deliver(message())
    await connector.close()
    assert (outcome.kind, outcome.detail) == (K.RETRY_DESTINATION, "cannot_write")
    assert kind != "others" or rig.path.read_bytes() == b"\0" * (2 << 20)


async def patient(connector: FileConnector, one: Message) -> Outcome:
    """Deliver as soon as the thread is free again."""
    for _ in range(500):
        outcome = await connector.deliver(one)
        if outcome.detail not in {"still_writing", "timed_out"}:
            break
        await asyncio.sleep(0.01)
    return outcome


async def test_a_disk_that_hangs_holds_up_no_more_than_one_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (gate.wait(10), sync(file)))
    rig = FileRig(tmp_path)
    connector = FileConnector(rig.config(timeout_s=0.1))
    outcome = await connector.deliver(message())
    assert (outcome.kind, outcome.detail) == (K.AMBIGUOUS, "timed_out")
    outcome = await connector.deliver(message(2, after_ambiguous=True))
    assert (outcome.kind, outcome.detail) == (K.RETRY_DESTINATION, "still_writing")
    gate.set()
    outcome = await patient(connector, message(3, after_ambiguous=True))
    assert outcome.kind is K.OK
    await connector.close()
    assert rig.landed() == [message().delivery_id]


@pytest.mark.parametrize(
    "wrong",
    [{"file": "../x"}, {"file": "a/b"}, {"file": ".hidden"}, {"file": ""}, {"file": "a\0b"}, {"directory": "relative"},
     {"directory": "/tmp/../etc"}],
)  # fmt: skip
def test_a_path_that_leads_out_is_refused(wrong: dict[str, Any]) -> None:
    good = {"id": "file", "type": "file", "directory": "/var/lib/pegel", "file": "alerts.ndjson"}
    FileConfig.model_validate(good)
    with pytest.raises(ValidationError):
        FileConfig.model_validate(good | wrong)


def test_a_line_is_one_line_whatever_is_in_it() -> None:
    assert b"\n" not in line_of(message(title="a\nb\r\n", body="\n\n", account="x\ny"))
