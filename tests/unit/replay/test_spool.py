"""Transitions come out of the spool in order, and it holds no more of them than it may."""

import random
from pathlib import Path

import msgspec
import pytest

from streams.engine.found import Transition
from streams.replay.spool import RUNS_MAX, Entry, Spool, SpoolError, merged


def found(count: int) -> list[Transition]:
    rng = random.Random("spool")
    return [
        Transition(
            f"a{rng.randrange(9)}", "busy", "entered", None, None, rng.randrange(40), sequence, "v", {"values": {}},
            "deadline", None,
        )
        for sequence in range(1, count + 1)
    ]  # fmt: skip


def order(entries: list[Entry]) -> list[tuple[int, str, int]]:
    return [entry[:3] for entry in entries]


def wanted(transitions: list[Transition]) -> list[tuple[int, str, int]]:
    return sorted((one.effective_at, one.account_id, one.sequence) for one in transitions)


@pytest.mark.parametrize("held_bytes_max", [1, 2_000, 1 << 20])
@pytest.mark.parametrize("count", [0, 1, 700])
def test_what_was_added_comes_out_in_order_however_little_may_be_held(
    tmp_path: Path, held_bytes_max: int, count: int
) -> None:
    transitions = found(count)
    spool, other = Spool(tmp_path, "a", held_bytes_max), Spool(tmp_path, "b", held_bytes_max)
    for start in range(0, count, 3):
        spool.add(transitions[start : start + 3])
        other.add(transitions[start : start + 3])
    assert order([*spool.entries()]) == wanted(transitions)
    assert order([*merged([other.to_file()])]) == wanted(transitions)


def test_a_spool_that_may_hold_little_keeps_few_files(tmp_path: Path) -> None:
    spool = Spool(tmp_path, held_bytes_max=1)
    most = 0
    for one in found(3 * RUNS_MAX):
        spool.add([one])
        most = max(most, len([*tmp_path.iterdir()]))
        assert spool.runs == len([*tmp_path.iterdir()])
    assert 1 < most < RUNS_MAX


def test_the_runs_of_several_spools_merge_to_what_one_would_have_given(tmp_path: Path) -> None:
    transitions = found(300)
    one, shares = Spool(tmp_path), [Spool(tmp_path, f"s{number}") for number in range(3)]
    one.add(transitions)
    for place, transition in enumerate(transitions):
        shares[place % 3].add([transition])
    assert [*merged([share.to_file() for share in shares])] == [*one.entries()]


def test_what_is_written_is_the_transition(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.add(found(1))
    ((_, account, sequence, segment, direction, value),) = spool.entries()
    told = msgspec.json.decode(value)
    assert (told["account_id"], told["sequence"], told["segment"], told["direction"]) == (
        account, sequence, segment, direction,
    )  # fmt: skip


def test_a_folder_that_takes_nothing_is_told_with_the_fix(tmp_path: Path) -> None:
    with pytest.raises(SpoolError, match="No such file or directory; set TMPDIR"):
        Spool(tmp_path / "gone", held_bytes_max=1).add(found(2))
