"""A log that is put back is what it was; one that is cut anew tells of every account what it told."""

import json
import random
from pathlib import Path

import pytest

from schemas.catalog import Catalog
from streams.engine.program import compile_catalog
from streams.errors import ExpectedError
from streams.rebuild.log import LogRecord
from streams.rebuild.recompute import Recomputation
from streams.rebuild.restore import Spread, _one_partition, _records, in_arrival_order, own_places
from streams.replay.envelope import Envelope
from streams.runtime.partitioner import partition_of
from tests.unit.engagement.log import CATALOG, DAY, START, TOPICS, World, config, event


def record(partition: int, offset: int, ts: int, key: str | None = None, kind: str | None = None) -> Envelope:
    headers: list[str | None] = [] if kind is None else ["pegel-control", kind]
    return Envelope("account.events.v1", partition, offset, ts, key, f"{kind}", headers=headers)


def test_partitions_are_merged_by_arrival_and_each_keeps_its_order() -> None:
    one = [record(0, 0, 10, "a"), record(0, 1, 5, "b"), record(0, 2, 30, "c")]
    two = [record(1, 0, 20, "d"), record(1, 1, 7, "e")]
    assert [found.key for found in in_arrival_order([one, two])] == ["a", "b", "d", "e", "c"]


def test_a_control_record_that_bears_the_time_of_its_writing_stays_where_it_was_among_the_events() -> None:
    one = [record(0, 0, 10, "a"), record(0, 1, 9_999, kind="catalog"), record(0, 2, 11, "b")]
    two = [record(1, 0, 12, "c")]
    assert [found.key for found in in_arrival_order([one, two])] == ["a", None, "b", "c"]


def test_copies_of_a_control_record_are_one_and_it_goes_everywhere() -> None:
    spread = Spread(3)
    assert [spread.places(record(p, 0, 10, kind="catalog")) for p in range(2)] == [range(3), ()]
    assert [spread.places(record(p, 0, 10, kind="clock")) for p in range(2)] == [range(3), ()]
    assert spread.places(record(0, 0, 10, kind="sketch")) == ()
    assert spread.places(record(0, 0, 10, "acme")) == (partition_of(b"acme", 3),)


def lived() -> World:
    """Two partitions, cut as keys demand."""
    chance = random.Random(7)
    world = World(config(CATALOG, clock="log", partitions=2))
    at = START
    for number in range(120):
        at += chance.choice((1, 60_000, DAY // 3, DAY))
        account = f"account-{chance.randrange(8)}"
        world.append(
            partition_of(account.encode(), 2), account, event(account, f"m{number}", at - chance.choice((0, DAY))), at
        )
        world.run(at)
    return world


def test_a_log_that_is_cut_anew_tells_of_each_account_what_it_told() -> None:
    """But for ranks: each partition takes them at a place of its own."""
    world = lived()
    dumped = [
        [
            Envelope(
                "account.events.v1", number, one.offset, one.timestamp,
                None if one.key is None else one.key.decode(), (one.value or b"").decode(),
                headers=[text for name, value in one.headers for text in (name, (value or b"").decode())],
            )
            for one in log
        ]
        for number, log in enumerate(world.logs)
    ]  # fmt: skip
    spread = Spread(3)
    logs: list[list[LogRecord]] = [[] for _ in range(3)]
    for found in in_arrival_order(dumped):
        for place in spread.places(found):
            log = logs[place]
            log.append(LogRecord(len(log), found.ts, found.key_bytes(), found.payload_bytes(), found.header_pairs()))

    told: dict[str, list[tuple[int, str, str, str]]] = {}
    for number, log in enumerate(logs):
        fresh = Recomputation(number, 3, TOPICS, compile_catalog(Catalog.model_validate(CATALOG)), told={})
        fresh.feed(log)
        fresh.settle()
        told |= {
            account: [(one.sequence, one.segment, one.direction.value, one.effective_at) for one in transitions]
            for account, transitions in fresh.untold.items()
        }
    was: dict[str, list[tuple[int, str, str, str]]] = {}
    for one in world.transitions():
        was.setdefault(one["account_id"], []).append(
            (one["sequence"], one["segment"], one["direction"], one["effective_at"])
        )
    assert told == was
    assert len(was) == 8


def test_a_record_goes_back_to_where_it_was_and_a_dump_of_another_cut_is_refused() -> None:
    home = partition_of(b"acme", 4)
    assert own_places(record(home, 0, 1, "acme"), 4) == (home,)
    assert own_places(record(3, 0, 1, kind="clock"), 4) == (3,)
    with pytest.raises(ExpectedError, match="another number"):
        own_places(record((home + 1) % 4, 0, 1, "acme"), 4)
    with pytest.raises(ExpectedError, match="another number"):
        own_places(record(4, 0, 1, kind="clock"), 4)


def test_a_file_that_is_no_dump_or_holds_two_partitions_is_refused_with_its_place(tmp_path: Path) -> None:
    lines = [{"topic": "t", "partition": number, "offset": 0, "ts": 1} for number in range(2)]
    file = tmp_path / "dump.ndjson"
    file.write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(ExpectedError, match="partitions 0 and 1"):
        list(_one_partition(str(file), _records(str(file))))
    file.write_text('{"type":"track"}\n')
    with pytest.raises(ExpectedError, match=r"dump\.ndjson:1: no dumped record"):
        list(_records(str(file)))


def test_a_sketch_stays_away_since_its_thresholds_are_in_the_log() -> None:
    assert own_places(record(0, 0, 1, kind="sketch"), 4) == ()
    assert own_places(record(0, 0, 1, kind="thresholds"), 4) == (0,)
