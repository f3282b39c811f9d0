import gzip
import io
import sys
from pathlib import Path

import pytest

from streams.errors import ExpectedError
from streams.replay import lines as reading
from streams.replay.lines import LineReader


def read(*names: Path | str) -> list[tuple[str, int, bytes]]:
    return [(Path(line.file).name, line.number, line.raw) for line in LineReader([str(name) for name in names])]


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_lines_have_their_number_and_blank_ones_are_left_out(tmp_path: Path) -> None:
    file = written(tmp_path / "a", b"one\n\n  \n two \nthree")
    assert read(file) == [("a", 1, b"one"), ("a", 4, b"two"), ("a", 5, b"three")]


def test_lines_of_windows_are_lines(tmp_path: Path) -> None:
    assert read(written(tmp_path / "a", b"one\r\n\r\ntwo\r\n")) == [("a", 1, b"one"), ("a", 3, b"two")]


def test_files_come_in_argument_order_even_twice(tmp_path: Path) -> None:
    one, other = written(tmp_path / "b", b"1\n2\n"), written(tmp_path / "a", b"3")
    assert [raw for _, _, raw in read(one, other, one)] == [b"1", b"2", b"3", b"1", b"2"]


def test_gzip_is_known_by_its_bytes_not_by_its_name(tmp_path: Path) -> None:
    packed = gzip.compress(b"one\n", mtime=0) + gzip.compress(b"two\nthree", mtime=0)
    assert [raw for _, _, raw in read(written(tmp_path / "plain.ndjson", packed))] == [b"one", b"two", b"three"]
    assert [raw for _, _, raw in read(written(tmp_path / "packed.gz", b"one\n"))] == [b"one"]


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    assert read(written(tmp_path / "a", b""), written(tmp_path / "b.gz", gzip.compress(b"", mtime=0))) == []


def test_a_line_that_is_too_long_is_cut_and_the_next_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LINE_BYTES_MAX", 10)
    content = b"x" * 10 + b"\n" + b"y" * 35 + b"\nnext\n" + b"z" * 9 + b"\n" + b"w" * 11
    assert read(written(tmp_path / "a", content)) == [
        ("a", 1, b"x" * 10), ("a", 2, b"y" * 10), ("a", 3, b"next"), ("a", 4, b"z" * 9), ("a", 5, b"w" * 10),
    ]  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
def test_standard_input_is_a_file_too(*, packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    content = gzip.compress(b"one\ntwo\n", mtime=0) if packed else b"one\ntwo\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content))))
    reader = LineReader(["-"])
    assert [(line.place, line.raw) for line in reader] == [("<stdin>:1", b"one"), ("<stdin>:2", b"two")]
    assert reader.bytes_total is None


def test_how_far_it_is_is_told_in_bytes(tmp_path: Path) -> None:
    one, other = written(tmp_path / "a", b"x\n" * 50_000), written(tmp_path / "b", b"yy\n")
    reader = LineReader([str(one), str(other)])
    assert (reader.bytes_read, reader.bytes_total) == (0, 100_003)
    seen = [reader.bytes_read for _ in reader]
    assert seen == sorted(seen)
    assert 0 < seen[0] < 100_000
    assert (seen[-1], reader.bytes_read) == (100_003, 100_003)


def test_a_file_that_is_not_there_is_told_before_any_is_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        LineReader([str(written(tmp_path / "a", b"x")), str(tmp_path / "missing")])


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(b"one\n" * 1_000, mtime=0)[:-10],
        gzip.compress(b"one\n" * 1_000, mtime=0)[:30],
        b"\x1f\x8bno gzip at all",
        gzip.compress(b"one\n", mtime=0)[:-8] + b"\0" * 8,
        gzip.compress(b"one\n", mtime=0) + b"trailing",
    ],
)
def test_a_damaged_file_is_told_by_name_and_line(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ExpectedError, match=r"broken\.gz:\d+: cannot be read"):
        read(written(tmp_path / "broken.gz", content))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ExpectedError, match="cannot be read"):
        read(tmp_path)
