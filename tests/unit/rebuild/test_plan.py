"""A rebuilt partition writes what was wrong and nothing else, and tells what was not told and nothing else."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from schemas.membership import WireMembership, WireSegmentMembership, decode_membership
from schemas.timestamps import format_ms
from schemas.transition import WireTransition, decode_transition
from streams.engagement import rows
from streams.engine import codec
from streams.engine.account import Account
from streams.rebuild.compare import differing_fields
from streams.rebuild.plan import Plan, Planner, Rebuilt, has_work_in_hand, merged_row, partition_row, seed_of
from streams.rebuild.recompute import Rows
from tests.unit.doctor.test_state import lived, recomputation
from tests.unit.engagement.log import DAY, START, TOPICS, World

NOW = START + 400 * DAY


def memberships(world: World) -> dict[str, WireMembership]:
    latest: dict[str, WireMembership] = {}
    for output in world.out[TOPICS.membership]:
        assert output.key is not None
        if output.value is None:
            latest.pop(output.key.decode(), None)
        else:
            latest[output.key.decode()] = decode_membership(output.value)
    return latest


def planned(
    world: World,
    partition: int,
    old: Rows,
    told: dict[str, WireMembership] | None = None,
    *,
    start: int = 0,
    state_version: int = codec.VERSION,
) -> Plan:
    told = memberships(world) if told is None else told
    fresh = recomputation(world, partition, {account: one.sequence for account, one in told.items()}, old, start)
    rebuilt = Rebuilt(fresh.rows, fresh.program, fresh.untold, cut=start > 0)
    kept: Rows = {key: value for key, value in old.items() if value is not None}
    return Planner(TOPICS, kept, rebuilt, NOW, state_version).plan(told)


def transitions(plan: Plan) -> list[WireTransition]:
    return [decode_transition(one.value or b"") for one in plan.outputs if one.topic == TOPICS.transitions]


def spoilt(old: Rows, account_id: str, change: Callable[[Account], Any]) -> Rows:
    key = rows.ACCOUNT + account_id.encode()
    account = codec.decode(old[key] or b"")
    change(account)
    return {**old, key: codec.encode(account)}


@pytest.mark.parametrize("seed", range(4))
def test_a_state_that_says_what_the_log_says_is_left_alone(seed: int) -> None:
    world = lived(seed)
    for partition in range(2):
        plan = planned(world, partition, world.rows[partition])
        assert plan.outputs == []
        assert [key for key, _ in plan.changes if key != rows.PARTITION] == []
        assert set(plan.accounts) == {"same"}


def test_a_row_that_is_wrong_is_written_again_and_nobody_is_told() -> None:
    world = lived(0)
    plan = planned(world, 0, spoilt(world.rows[0], "account-0", lambda account: account.events.clear()))
    assert plan.outputs == []
    assert [key for key, _ in plan.changes if key != rows.PARTITION] == [b"aaccount-0"]


@pytest.mark.parametrize("start", [0, 79])
def test_rows_of_another_version_are_written_in_the_one_of_the_settings_and_nobody_is_told(start: int) -> None:
    """Whether the log says what the accounts are or has lost them, and in either direction."""
    world = lived(0)
    now = {key for key in world.rows[0] if key.startswith(rows.ACCOUNT)}
    standing = partition_row(world.rows[0])
    assert standing is not None
    for written, wanted in ((1, codec.VERSION), (codec.VERSION, 1)):
        stored = {key: codec.encode(codec.decode(world.rows[0][key] or b""), written) for key in now}
        plan = planned(world, 0, {**world.rows[0], **stored}, start=start, state_version=wanted)
        assert plan.outputs == []
        changed = {key: codec.version_of(row or b"") for key, row in plan.changes if key in now}
        assert changed == dict.fromkeys(now, wanted)
        for key, row in plan.changes:
            if key in now:
                assert differing_fields(codec.decode(row or b""), codec.decode(stored[key]), standing.floor) == ()


def test_a_row_that_is_lost_is_written_again_and_its_story_goes_on() -> None:
    world = lived(0)
    old = {key: value for key, value in world.rows[0].items() if key != b"aaccount-2"}
    plan = planned(world, 0, old)
    assert plan.outputs == []
    rebuilt = dict(plan.changes)[b"aaccount-2"]
    assert codec.decode(rebuilt or b"").sequence == memberships(world)["account-2"].sequence


def test_a_whole_state_that_is_lost_comes_back_and_nothing_is_told_twice() -> None:
    world = lived(1)
    plan = planned(world, 0, {})
    assert plan.outputs == []
    written = dict(plan.changes)
    kept = {key for key, value in world.rows[0].items() if value is not None and key != rows.REJECTS}
    assert {key for key, value in written.items() if value is not None} == kept


def test_what_was_never_told_is_told_as_the_replay_has_it() -> None:
    world = lived(1)
    plan = planned(world, 0, {}, told={})
    told = [one for one in world.transitions() if one["account_id"] in {"account-0", "account-2", "account-4"}]
    found = [msgspec.to_builtins(one) for one in transitions(plan)]
    for one in found:
        assert one.pop("emitted_at") is not None
    by_place = sorted(found, key=lambda one: (one["account_id"], one["sequence"]))
    assert by_place == sorted(told, key=lambda one: (one["account_id"], one["sequence"]))


def test_what_was_told_otherwise_is_corrected_once_under_the_next_number_and_is_no_news() -> None:
    world = lived(0)
    told = memberships(world)
    was = told["account-0"]
    assert was.segments == []
    wrong = [
        WireSegmentMembership(segment=segment, group=None, entered_at=format_ms(START)) for segment in ("gone", "busy")
    ]
    plan = planned(
        world, 0, world.rows[0],
        {**told, "account-0": msgspec.structs.replace(was, sequence=was.sequence + 5, segments=wrong)},
    )  # fmt: skip
    found = transitions(plan)
    assert [(one.segment, one.direction, one.trigger) for one in found] == [
        ("busy", "exited", "rebuild"),
        ("gone", "exited", "rebuild"),
    ]
    assert [one.sequence for one in found] == [was.sequence + 6, was.sequence + 7]
    assert {one.entered_at for one in found} == {format_ms(START)}
    (membership,) = [decode_membership(one.value or b"") for one in plan.outputs if one.topic == TOPICS.membership]
    assert (membership.sequence, membership.segments) == (was.sequence + 7, [])
    stored = codec.decode(dict(plan.changes)[b"aaccount-0"] or b"")
    assert stored.sequence == was.sequence + 7


def test_a_part_of_the_log_leaves_sequences_and_dates_as_they_were_told() -> None:
    world = lived(3)
    plan = planned(world, 0, world.rows[0], start=len(world.logs[0]) // 2)
    told = memberships(world)
    for key, value in plan.changes:
        if key.startswith(rows.ACCOUNT):
            account, was = codec.decode(value or b""), told[key[1:].decode()]
            corrections = [one for one in transitions(plan) if one.account_id == key[1:].decode()]
            assert all(one.trigger == "rebuild" for one in corrections)
            assert [one.sequence for one in corrections] == [
                was.sequence + place for place in range(1, len(corrections) + 1)
            ]
            assert account.sequence == was.sequence + len(corrections)


def test_an_account_that_the_part_of_the_log_does_not_know_keeps_its_state() -> None:
    world = lived(3)
    plan = planned(world, 0, world.rows[0], start=len(world.logs[0]) - 1)
    assert plan.accounts["kept"] >= 2
    assert not any(value is None for _, value in plan.changes)


def test_an_account_that_was_erased_stays_so_though_the_log_no_longer_says_it() -> None:
    world = lived(0)
    old = {**world.rows[0], rows.ERASED_ACCOUNT + b"account-0": b""}
    plan = planned(world, 0, old)
    assert (b"aaccount-0", None) in plan.changes
    assert [(one.topic, one.key, one.value) for one in plan.outputs] == [(TOPICS.membership, b"account-0", None)]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("lost", [0, 2, 5], ids=["nothing lost", "two lost", "all lost"])
@pytest.mark.parametrize("start", [0, 30], ids=["whole log", "part of it"])
def test_members_are_counted_as_accounts_come_out(seed: int, lost: int, start: int) -> None:
    world = lived(seed)
    gone = {rows.ACCOUNT + b"account-%d" % number for number in range(lost)}
    for partition in range(2):
        old = {key: row for key, row in world.rows[partition].items() if key not in gone}
        after = {**old, **dict(planned(world, partition, old, start=start).changes)}
        members: Counter[str] = Counter()
        for key, stored in after.items():
            if key.startswith(rows.ACCOUNT) and stored is not None:
                members.update([*codec.decode(stored).members])
        row = partition_row(after)
        assert row is not None
        assert row.members == members


def test_numbers_of_operations_and_looks_go_on_where_they_were() -> None:
    old = partition_row(lived(0).rows[0])
    assert old is not None
    ahead = msgspec.structs.replace(old, number=99, looked_day=7, decided_day=6, pending=[rows.PendingRow(99)])
    fresh = msgspec.structs.replace(old, number=3, looked_day=None, decided_day=None)
    merged = merged_row(ahead, fresh)
    assert (merged.number, merged.looked_day, merged.decided_day, merged.pending) == (99, 7, 6, [])
    assert merged_row(None, fresh) is fresh


def test_reading_begins_with_the_rules_in_force_and_with_no_clock() -> None:
    old = {**lived(0).rows[0], rows.ERASED_USER + b"u9": b""}
    seed = seed_of(old)
    row, was = partition_row(seed), partition_row(old)
    assert row is not None
    assert was is not None
    assert seed.keys() == {rows.PARTITION, rows.ERASED_USER + b"u9", rows.ERASED_USER + b"u1"}
    assert row.floor < 0 < was.floor
    assert bytes(row.catalog) == bytes(was.catalog)
    assert not has_work_in_hand(seed)
