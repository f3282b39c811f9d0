"""An account that was stored in another version is stored anew once, by whoever comes to it first."""

import base64
import json

import msgspec
import pytest

from streams.engine import codec
from streams.engine.account import Account
from streams.engine.partition import Partition
from streams.engine.stored import StoredAccount
from tests.unit.engine.building import DAY, START, Log, event_of, program_of
from tests.unit.engine.test_stored_states import STATES

PROGRAM = program_of('count("*", days=7) >= 2')
ACCOUNTS = ("acme", "bolt", "carl")
EVENT = {"type": "track", "event": "run", "messageId": "new", "timestamp": "2026-03-02T12:00:00Z"}


def stored_by(version: int) -> dict[str, bytes]:
    log = Log(PROGRAM)
    for account in ACCOUNTS:
        log.track("run", START, account=account)
    rows = log.partition.take_changes()
    return {account_id: codec.encode(codec.decode(row), version) for account_id, row in rows}


def restored(rows: dict[str, bytes], version: int = codec.VERSION) -> Partition:
    partition = Partition(PROGRAM, version)
    for account_id, row in rows.items():
        partition.restore(account_id, row)
    return partition


def apply(partition: Partition, account_id: str) -> None:
    event, raw = event_of(EVENT)
    partition.apply(account_id, event, raw, START + DAY)


def test_what_is_stored_in_the_version_that_is_written_is_left_alone() -> None:
    assert not restored(stored_by(codec.VERSION)).is_outdated()
    assert restored(stored_by(codec.VERSION)).renew(10) == []


def test_an_account_that_changes_before_its_turn_is_stored_once_as_it_is_then() -> None:
    partition = restored(stored_by(1))
    apply(partition, "bolt")
    assert sorted(account_id for account_id, _ in partition.renew(10)) == ["acme", "carl"]
    ((account_id, row),) = partition.take_changes()
    assert account_id == "bolt"
    assert codec.version_of(row) == codec.VERSION
    assert not partition.is_outdated()


def test_an_account_that_was_stored_because_it_changed_has_no_turn() -> None:
    partition = restored(stored_by(1))
    apply(partition, "bolt")
    partition.take_changes()
    assert sorted(account_id for account_id, _ in partition.renew(10)) == ["acme", "carl"]


def test_an_account_that_is_erased_is_not_stored_again() -> None:
    partition = restored(stored_by(1))
    partition.erase_account("acme")
    assert sorted(account_id for account_id, _ in partition.renew(10)) == ["bolt", "carl"]


def test_of_a_changelog_that_is_not_compacted_the_last_row_counts() -> None:
    old, new = stored_by(1), stored_by(codec.VERSION)
    partition = restored(old)
    for account_id, row in new.items():
        partition.restore(account_id, row)
    assert not partition.is_outdated()
    partition.restore("acme", old["acme"])
    assert [account_id for account_id, _ in partition.renew(10)] == ["acme"]
    partition.restore("bolt", old["bolt"])
    partition.restore("bolt", None)
    assert not partition.is_outdated()


def test_the_way_back_is_the_same_way() -> None:
    partition = restored(stored_by(codec.VERSION), version=codec.OLDEST_WRITTEN)
    apply(partition, "acme")
    rows = [*partition.take_changes(), *partition.renew(10)]
    assert sorted(account_id for account_id, _ in rows) == [*ACCOUNTS]
    assert {codec.version_of(row) for _, row in rows} == {codec.OLDEST_WRITTEN}


@pytest.mark.parametrize("version", [0, codec.VERSION + 1])
def test_no_version_is_written_that_nobody_could_read(version: int) -> None:
    with pytest.raises(AssertionError):
        codec.encode(codec.decode(stored_by(codec.VERSION)["acme"]), version)


def test_version_1_is_written_as_version_1_wrote_it() -> None:
    """Samples of it have one field less at their end: the number of the last operation, which readers may miss."""
    samples = [json.loads(line) for line in (STATES / "v1.ndjson").read_text().splitlines()]
    assert samples
    for sample in samples:
        stored = base64.b64decode(sample["stored"])
        written = codec.encode(codec.decode(stored), 1)
        assert written[:9] == stored[:9]
        *fields, operation = msgspec.msgpack.decode(written[9:])
        assert fields == msgspec.msgpack.decode(stored[9:])
        assert operation == 0


def test_what_never_comes_is_never_to_version_1_too() -> None:
    """Which knew it by another number, and would have waited for a moment."""
    written = codec.encode(Account(), 1)
    assert int.from_bytes(written[1:9], "big") == 1 << 62
    fields = dict(zip(StoredAccount.__struct_fields__, msgspec.msgpack.decode(written[9:]), strict=True))
    assert (fields["next_at"], fields["first_seen"]) == (1 << 62, 1 << 62)
    assert codec.decode(written) == Account()


def test_an_account_that_was_stored_anew_is_kept_as_it_was_stored() -> None:
    partition = restored(stored_by(1))
    renewed = dict(partition.renew(10))
    assert {account_id: partition._stored[account_id] for account_id in ACCOUNTS} == renewed
