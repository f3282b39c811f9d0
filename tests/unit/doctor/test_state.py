"""State against log: whatever way a worker went, its rows say what the log says; a row that was spoilt does not."""

import random
from collections.abc import Mapping

import msgspec
import pytest

from schemas.catalog import Catalog
from schemas.control import CatalogChange, Erase, encode_control
from schemas.membership import WireMembership, WireSegmentMembership
from schemas.timestamps import format_ms
from streams.doctor.facts import Verdict
from streams.doctor.state import compare, membership_problem
from streams.engagement import rows
from streams.engine import codec
from streams.engine.account import Account, account_of
from streams.engine.program import compile_catalog
from streams.rebuild.log import LogRecord
from streams.rebuild.plan import seed_of
from streams.rebuild.recompute import Recomputation, Rows, first_program
from tests.unit.engagement.log import CATALOG, DAY, RANKED, START, TOPICS, World, config

OTHER = compile_catalog(Catalog.model_validate({**CATALOG, "name": "other", "segments": CATALOG["segments"][1:]}))


def lived(seed: int) -> World:
    """A log of two partitions that was lived, with a worker that flushes at odd moments and is killed at others."""
    chance = random.Random(seed)
    world = World(config(RANKED, clock="log", partitions=2))
    at = START
    for number in range(80):
        at += chance.choice((1, 60_000, DAY // 3, 2 * DAY))
        account = chance.randrange(6)
        world.publish(f"account-{account}", f"m{number}", at, partition=account % 2)
        if number in (30, 50):
            control = (
                Erase(user_id="u1") if number == 50 else CatalogChange(version=OTHER.version, content=OTHER.content)
            )
            header, value = encode_control(control)
            for partition in range(2):
                world.append(partition, None, value, at, header)
        if chance.random() < 0.6:
            world.run(at)
        if chance.random() < 0.2:
            world.restart(chance.randrange(2))
            world.applied = [min(one, len(log)) for one, log in zip(world.applied, world.logs, strict=True)]
    world.run(at)
    return world


def recomputation(
    world: World, partition: int, told: Mapping[str, int] | None = None, old: Rows | None = None, start: int = 0
) -> Recomputation:
    """From the log, or from `start` on, which leaves the rest to the rules in `old`."""
    log = world.logs[partition][start:]
    records = [LogRecord(one.offset, one.timestamp, one.key, one.value, one.headers) for one in log]
    program = first_program(records, lambda: world.config.program)
    fresh = Recomputation(partition, 2, TOPICS, program, told)
    if start:
        fresh.restore(seed_of(old or {}))
    fresh.feed(records)
    fresh.settle()
    return fresh


@pytest.mark.parametrize("seed", range(6))
def test_whatever_way_a_worker_went_its_rows_say_what_the_log_says(seed: int) -> None:
    world = lived(seed)
    compared = 0
    for partition in range(2):
        kept, fresh = world.rows[partition], recomputation(world, partition).rows
        assert kept.keys() == fresh.keys()
        partition_row = kept[rows.PARTITION]
        assert partition_row is not None
        floor = msgspec.msgpack.decode(partition_row, type=rows.PartitionRow).floor
        for key in kept:
            if key.startswith(rows.ACCOUNT):
                assert compare(account(kept[key]), account(fresh[key]), floor) == (Verdict.EQUAL, ()), key
                compared += 1
    assert compared == 6


def account(stored: bytes | None) -> Account:
    assert stored is not None
    return codec.decode(stored)


def test_a_field_that_was_tampered_with_is_named() -> None:
    kept, fresh = account_of(now=5, total=3), account_of(now=5, total=2)
    assert compare(kept, fresh, 0) == (Verdict.DIFFERS, ("total",))


def test_how_much_of_the_clock_an_untouched_account_has_taken_over_means_nothing() -> None:
    kept, fresh = account_of(arrival=10, floor=10), account_of(arrival=40, floor=40)
    assert compare(kept, fresh, 50) == (Verdict.EQUAL, ())


def test_an_account_on_one_side_alone_is_a_difference_and_on_neither_is_none() -> None:
    assert compare(None, Account(), 0)[0] is Verdict.MISSING
    assert compare(Account(), None, 0)[0] is Verdict.NOT_IN_LOG
    assert compare(None, None, 0)[0] is Verdict.EQUAL


def membership(sequence: int, **segments: int) -> WireMembership:
    held = [WireSegmentMembership(segment=name, group=None, entered_at=format_ms(at)) for name, at in segments.items()]
    return WireMembership(
        account_id="acme", as_of=format_ms(0), stage="trial", sequence=sequence, segments=held, key_numbers={},
        catalog_version="v1",
    )  # fmt: skip


def test_a_membership_record_must_be_that_of_its_state() -> None:
    kept = account_of(sequence=3, members={"fresh": 1_000})
    assert membership_problem(kept, membership(3, fresh=1_000), moving=False) is None
    assert membership_problem(kept, membership(3, fresh=2_000), moving=True) == "it differs in fresh"
    assert membership_problem(kept, membership(3), moving=False) == "it differs in fresh"
    assert membership_problem(kept, membership(2), moving=True) == "it has sequence 2, the state 3"
    assert membership_problem(kept, None, moving=False) == "there is none"
    assert membership_problem(None, membership(1), moving=False) == "there is one, and no state"


def test_a_membership_record_of_later_is_wrong_only_where_nobody_writes() -> None:
    kept = account_of(sequence=3)
    assert membership_problem(kept, membership(4), moving=True) is None
    assert membership_problem(kept, membership(4), moving=False) is not None
    assert membership_problem(Account(), None, moving=False) is None
