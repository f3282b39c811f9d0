"""A replay from several processes writes what one process writes."""

import json
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from schemas.timestamps import format_ms
from streams.catalogs import load_program
from streams.engine.columns import Column, Looked
from streams.engine.population import percentiles_of
from streams.engine.program import Program, compile_catalog
from streams.intake.identity import Identity
from streams.replay.jobs import JobsError, attend, started
from streams.replay.lines import LineReader
from streams.replay.peers import Alone, Moved, Peers, Takes, Together, share_of
from streams.replay.run import Replay
from streams.replay.spool import Entry, Spool, merged
from streams.replay.take import Taken, take_files
from tests.unit.engine.building import DAY, HOUR, START, catalog_of
from tests.unit.replay.dumps import catalog_change, clock, control, envelope

DAYS: Final = 40
FIRST: Final = catalog_of(
    'count("a", days=2) >= 2', 'top_percent("load", 30)', definitions={"load": 'count("*", days=9)'}
)
SECOND: Final = catalog_of(
    'since(last("a")) >= 1', 'top_percent("load", 60)', definitions={"load": 'count("*", days=9)'}
)


class Watched:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.read: list[int] = []

    def read_to(self, bytes_read: int) -> None:
        self.read.append(bytes_read)

    def refused(self, place: str, why: str) -> None:
        self.told.append((place, why))


class Runs:
    """Replays of one file, by one process or several."""

    def __init__(
        self, folder: Path, program: Program, until_ms: int | None = None, *, follow: bool = False, strict: bool = False
    ) -> None:
        self.folder = folder
        self.program = program
        self.until_ms = until_ms
        self.follow = follow
        self.strict = strict

    def made(self, takes: Takes | None = None, peers: Peers | None = None) -> Replay:
        resolve = Identity().take
        return Replay(self.program, resolve, self.until_ms, follow_catalog=self.follow, takes=takes, peers=peers)

    def by(self, jobs: int, file: str) -> tuple[Taken, list[Entry], Watched]:
        watch = Watched()
        if jobs == 1:
            spool = Spool(self.folder)
            taken = take_files(self.made(), LineReader([file]), spool, watch, strict=self.strict)
            return taken, [*spool.entries()], watch
        with started(jobs, self.made, [file], self.folder, strict=self.strict) as workers:
            taken, runs = attend(workers, watch)
        return taken, [*merged(runs)], watch

    def require_equal(self, file: str) -> list[Entry]:
        taken, entries, watch = self.by(1, file)
        for jobs in (2, 3):
            also, same, watched = self.by(jobs, file)
            assert (also, same) == (taken, entries)
            assert (watched.told, watched.read) == (watch.told, watch.read)
        return entries


def written(folder: Path, lines: Iterator[dict[str, Any] | str]) -> str:
    path = folder / "events"
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return str(path)


def activity(rng: random.Random, number: int, account: int) -> dict[str, Any]:
    """One of a few accounts, late and twice at times."""
    at = START + number * HOUR - (rng.randrange(3 * DAY) if rng.random() < 0.2 else 0)
    name = rng.choice(["a", "b", "report_created", "user_invited", "integration_connected"])
    return {
        "type": "track", "event": name, "messageId": f"m{number - (rng.random() < 0.1)}", "timestamp": format_ms(at),
        "receivedAt": format_ms(START + number * HOUR), "userId": f"u{account}-{rng.randrange(3)}",
    }  # fmt: skip


def plain_lines() -> Iterator[dict[str, Any] | str]:
    """Some are known by their users alone, whom a group call names on the way; some cannot be used."""
    rng = random.Random("jobs")
    for number in range(24 * DAYS):
        account = int(12 * rng.random() ** 2)
        line = activity(rng, number, account)
        if rng.random() < 0.1:
            traits = {"mrr": rng.randrange(900), "plan": "team"}
            yield line | {"type": "group", "groupId": f"account{account}", "traits": traits}
        elif rng.random() < 0.5:
            yield line
        else:
            yield line | {"context": {"groupId": f"account{account}"}}
        if rng.random() < 0.02:
            yield rng.choice(["{", "[]", '{"type": "delete"}'])


def dumped_lines() -> Iterator[dict[str, Any]]:
    """Two partitions; on the way another catalog, percentiles, an erasure, and clocks."""
    rng = random.Random("jobs")
    yield catalog_change(FIRST, START)
    for number in range(24 * DAYS):
        account = int(12 * rng.random() ** 2)
        ts, partition = START + number * HOUR, account % 2
        yield envelope(activity(rng, number, account), ts, key=f"account{account}", partition=partition)
        if number % 24 == 0:
            yield clock(ts, partition=partition)
            percentiles = {"load": {"count": 12, "percentiles": [one / 4 for one in range(101)]}}
            day = {"day": format_ms(ts)[:10], "measures": percentiles}
            yield control("thresholds", day, ts, partition=partition)
        if number == 12 * DAYS:
            yield catalog_change(SECOND, ts)
            yield control("erase", {"account_id": "account1"}, ts, partition=1)
            yield control("erase", {"user_id": "u0-1"}, ts)


@pytest.mark.parametrize("until_ms", [None, START + 55 * DAY])
def test_events_that_are_ranked_among_all_accounts_give_the_same_from_several_processes(
    tmp_path: Path, until_ms: int | None
) -> None:
    entries = Runs(tmp_path, load_program("default"), until_ms).require_equal(written(tmp_path, plain_lines()))
    assert {"power_account", "rfm_champion"} <= {segment for _, _, _, segment, _, _ in entries}


def test_a_dump_with_its_control_records_gives_the_same_from_several_processes(tmp_path: Path) -> None:
    runs = Runs(tmp_path, compile_catalog(FIRST), follow=True)
    entries = runs.require_equal(written(tmp_path, dumped_lines()))
    assert {segment for _, _, _, segment, _, _ in entries} == {"s0", "s1"}


def test_a_first_catalog_record_is_refused_by_all_if_one_of_them_has_an_account(tmp_path: Path) -> None:
    """Whether a partition had accounts before it is known to who took them alone."""
    catalog, *lines = (line for line in dumped_lines() if line["partition"] == 0)
    runs = Runs(tmp_path, compile_catalog(SECOND), follow=True)
    runs.require_equal(written(tmp_path, iter([lines[0], catalog, *lines[1:30]])))
    _, _, watch = runs.by(2, str(tmp_path / "events"))
    assert "give it with --catalog" in watch.told[0][1]


def test_a_line_that_stops_the_run_stops_all_of_them_there(tmp_path: Path) -> None:
    runs = Runs(tmp_path, load_program("default"), strict=True)
    runs.require_equal(written(tmp_path, plain_lines()))
    assert runs.by(2, str(tmp_path / "events"))[0].stopped


def test_a_file_that_cannot_be_read_to_its_end_is_told_once(tmp_path: Path) -> None:
    file = tmp_path / "events.gz"
    file.write_bytes(b"\x1f\x8b" + b"x" * 40)
    with pytest.raises(JobsError, match=r"events\.gz:1: cannot be read"):
        Runs(tmp_path, load_program("default")).by(2, str(file))


def test_a_process_that_is_killed_ends_the_replay_with_the_reason(tmp_path: Path) -> None:
    """As the system does where memory is short; here one ends itself at its first account."""
    runs = Runs(tmp_path, load_program("default"))
    here = os.getpid()

    def made(takes: Takes, peers: Peers) -> Replay:
        run = runs.made(takes, peers)
        assert os.getpid() != here
        if takes("account0"):
            os.kill(os.getpid(), signal.SIGKILL)
        return run

    file = written(tmp_path, plain_lines())
    with started(3, made, [file], tmp_path, strict=False) as workers, pytest.raises(JobsError, match="SIGKILL"):
        attend(workers, Watched())
    assert not any(worker.process.is_alive() for worker in workers)


def test_a_fault_of_ours_in_a_process_is_a_fault_of_ours(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def made(takes: Takes, peers: Peers) -> Replay:
        raise ZeroDivisionError(takes, peers)

    with started(2, made, [], tmp_path, strict=False) as workers, pytest.raises(RuntimeError, match="ended with 1"):
        attend(workers, Watched())
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_each_account_is_of_one_share() -> None:
    accounts = [f"account{number}" for number in range(200)]
    shares = [share_of(number, 3) for number in range(3)]
    assert {sum(takes(account) for takes in shares) for account in accounts} == {1}
    assert min(sum(map(takes, accounts)) for takes in shares) > 40


def test_percentiles_of_shares_together_are_those_of_one_who_has_all() -> None:
    rng = random.Random("percentiles")
    together, columns = Together(), [[Column() for _ in range(2)] for _ in range(3)]
    places: list[dict[str, tuple[float, str]]] = [{}, {}]
    for day in range(40):
        moved: list[Moved] = [[], [], []]
        for definition, known in enumerate(places):
            ids = {f"account{rng.randrange(150)}" for _ in range(rng.choice([0, 1, 9, 90]))}
            gone = [known.pop(one) for one in ids & known.keys()]
            come = [known.setdefault(one, (float(rng.randrange(50)), one)) for one in ids if rng.randrange(4)]
            for share, mine in enumerate(moved):
                parts = [[place for place in part if int(place[1][7:]) % 3 == share] for part in (gone, come)]
                columns[share][definition].move(*parts)
                mine.append((parts[0], parts[1]))
        found = together.percentiles(moved, first=day == 0)
        assert found == [percentiles_of([key for key, _ in known.values()]) for known in places]
    alone = Column()
    alone.move([], [*places[0].values()])
    assert Alone().percentiles(Looked([alone], first=True)) == found[:1]
