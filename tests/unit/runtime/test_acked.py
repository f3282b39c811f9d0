"""Flushes without transactions: whatever ends a writer, what counts of its changelog is the state of one moment."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import MessageSizeTooLargeError

from streams.runtime.acked import LOOK_AFTER_S, AckedLoader, AckedWriter
from streams.runtime.changelog import Loading
from streams.runtime.ending import Ending
from streams.runtime.failure import RuntimeFailure
from streams.runtime.options import COMPACTION_LAG_MS, KafkaAccess, RuntimeOptions
from streams.runtime.position import POSITION_KEY, STAGED_MARK, Row, encode_position_at, unstaged
from streams.runtime.stage import Output
from streams.runtime.transaction import Transaction
from tests.unit.runtime.fakes import FakeRecord, FakeStage, FakeWriter
from tests.unit.runtime.world import World

OPTIONS = RuntimeOptions(kafka=KafkaAccess("127.0.0.1:1"), group="pegel.toy")
BATCH_RECORDS_MAX = 8
NOW_MS = 1_000_000_000_000
CHANGELOG = "changelog"


class Killed(Exception):  # noqa: N818 - a kill is no error
    """The process ended here."""


class FakeBatch(list[Row]):
    """Holds few records, so that small flushes need several."""

    def append(self, row: Any = None, **record: Any) -> Any:
        if len(self) >= BATCH_RECORDS_MAX:
            return None
        super().append((record["key"], record["value"]))
        return self

    def record_count(self) -> int:
        return len(self)


@dataclass
class FakeLog:
    """One partition: a batch is written as one; compaction keeps the last record of each key."""

    records: list[FakeRecord] = field(default_factory=list)
    end: int = 0

    def append(self, rows: Sequence[Row], now_ms: int = NOW_MS) -> int:
        base = self.end
        self.records += [FakeRecord(base + n, key, value, now_ms) for n, (key, value) in enumerate(rows)]
        self.end += len(rows)
        return base

    def compact(self, below: int) -> None:
        last = {record.key: record.offset for record in self.records if record.offset < below}
        self.records = [
            record for record in self.records if record.offset >= below or last[record.key] == record.offset
        ]


@dataclass
class FakeCluster:
    """The changelog, the outputs, the group's offset; ``fuse`` counts the steps until the process is killed."""

    changelog: FakeLog = field(default_factory=FakeLog)
    outputs: list[Row] = field(default_factory=list)
    offset: int = 0
    steps: list[str] = field(default_factory=list)
    fuse: int = -1
    """Even: killed before a step is done, odd: after it, with its answer lost."""
    before_send: Callable[[], None] = lambda: None
    refuse: Exception | None = None

    async def partitions_for(self, topic: str) -> set[int]:
        return {0}

    def create_batch(self) -> FakeBatch:
        return FakeBatch()

    async def send_batch(self, batch: FakeBatch, topic: str, *, partition: int) -> "asyncio.Future[Any]":
        self.before_send()
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        try:
            self._burn()
            if self.refuse is not None:
                raise self.refuse
            self.steps.append(topic)
            if topic == CHANGELOG:
                answer.set_result(SimpleNamespace(offset=self.changelog.append(batch)))
            else:
                self.outputs += batch
                answer.set_result(SimpleNamespace(offset=0))
            self._burn()
        except (Killed, MessageSizeTooLargeError) as error:
            answer = asyncio.get_running_loop().create_future()
            answer.set_exception(error)
        return answer

    def _burn(self) -> None:
        if self.fuse == 0:
            raise Killed
        self.fuse -= self.fuse > 0

    # -- the group ---------------------------------------------------------------------------------------------------

    async def hold(self) -> None:
        self.steps.append("hold")

    async def commit(self, tp: Any, offset: int) -> None:
        self._burn()
        self.steps.append("commit")
        self.offset = offset
        self._burn()

    async def end_of(self, tp: Any) -> int:
        assert tp == TopicPartition(CHANGELOG, 0)
        self.steps.append("look")
        return self.changelog.end


def load(cluster: FakeCluster) -> tuple[FakeStage, Ending]:
    """What a new owner would find."""
    stage, ending = FakeStage(), Ending(end=cluster.changelog.end)
    ending.look(cluster.changelog.records)
    loading = Loading(0, stage, ending=ending)
    for at in range(0, len(cluster.changelog.records), 7):
        loading.take(cluster.changelog.records[at : at + 7])
    loading.finish()
    assert loading.position == ending.position.next
    return stage, ending


class Owner:
    """Counts the input by key, as the toy stage does, from where the changelog says."""

    def __init__(self, cluster: FakeCluster, source: list[bytes]) -> None:
        self.cluster, self.source = cluster, source
        stage, self.ending = load(cluster)
        self.totals = Counter({key: int(value) for key, value in stage.rows.items() if value is not None})
        self.next = self.ending.position.next
        self.now_s = 0.0
        self.writer = AckedWriter(
            OPTIONS, "in", CHANGELOG, 0, cluster, new_producer=lambda **_: cluster, clock=lambda: self.now_s
        )

    async def adopt(self) -> None:
        await self.writer.adopt(self.ending, NOW_MS)

    def apply(self, records: int) -> Transaction:
        outputs, dirty = [], set()
        for key in self.source[self.next : self.next + records]:
            self.totals[key] += 1
            outputs.append(Output("out", key, b"%d" % self.totals[key]))
            dirty.add(key)
        self.next += len(outputs)
        return Transaction(outputs, [(key, b"%d" % self.totals[key]) for key in sorted(dirty)], self.next)

    async def flush(self, records: int) -> None:
        await self.writer.write(self.apply(records))

    def require_exact(self) -> None:
        assert +self.totals == Counter(self.source[: self.next])


@pytest.fixture
async def cluster() -> FakeCluster:
    return FakeCluster()


async def new_owner(cluster: FakeCluster, source: list[bytes]) -> Owner:
    owner = Owner(cluster, source)
    owner.require_exact()
    await owner.adopt()
    cluster.steps.clear()
    return owner


def keys(count: int, records: int) -> list[bytes]:
    rng = random.Random(count)
    return [b"key-%d" % rng.randrange(count) for _ in range(records)]


async def test_a_flush_is_lease_outputs_lease_state_offset_in_that_order(cluster: FakeCluster) -> None:
    owner = await new_owner(cluster, keys(3, 10))
    await owner.flush(5)
    assert cluster.steps == ["hold", "out", "hold", CHANGELOG, "commit"]
    assert cluster.offset == 5
    assert cluster.changelog.records[-1].value == encode_position_at(5, cluster.changelog.end - 1)


async def test_a_batch_that_was_refused_ends_the_flush_before_anything_later(cluster: FakeCluster) -> None:
    owner = await new_owner(cluster, keys(3, 10))
    cluster.refuse = MessageSizeTooLargeError()
    with pytest.raises(MessageSizeTooLargeError):
        await owner.flush(5)
    assert cluster.steps == ["hold"]


@pytest.mark.parametrize("lost_at", [0, 1])
async def test_without_the_lease_nothing_more_is_sent(cluster: FakeCluster, lost_at: int) -> None:
    owner = await new_owner(cluster, keys(3, 10))
    answers: Iterator[bool] = iter([True] * lost_at + [False])

    async def hold() -> None:
        if not next(answers):
            raise RuntimeFailure("others may have its partitions")

    cluster.hold = hold  # type: ignore[method-assign]
    with pytest.raises(RuntimeFailure):
        await owner.flush(5)
    assert cluster.steps == ["out"] * lost_at


async def test_a_large_flush_is_staged_and_leaves_nothing_of_the_stage_but_tombstones(cluster: FakeCluster) -> None:
    source = keys(40, 200)
    owner = await new_owner(cluster, source)
    await owner.flush(200)
    assert cluster.steps.count(CHANGELOG) > 2 * len(owner.totals) / BATCH_RECORDS_MAX
    cluster.changelog.compact(cluster.changelog.end)
    kept = {record.key: record.value for record in cluster.changelog.records}
    assert {value for key, value in kept.items() if key is not None and key[:1] == STAGED_MARK} == {None}
    (await new_owner(cluster, source)).require_exact()


@pytest.mark.parametrize("small_first", [0, 3])
@pytest.mark.parametrize("records", [5, 60])
async def test_a_crash_after_any_step_leaves_the_state_of_before_or_after(records: int, small_first: int) -> None:
    """Even if compaction takes all it can get, and if the repair is cut off too."""
    source = keys(30, 100)
    moments: set[int] = set()
    for fuse in range(200):
        cluster = FakeCluster()
        owner = await new_owner(cluster, source)
        if small_first:
            await owner.flush(small_first)
        cluster.fuse = fuse
        try:
            await owner.flush(records)
        except Killed:
            pass
        else:
            break
        for second in range(fuse % 7):
            cluster.changelog.compact(cluster.changelog.end)
            cluster.fuse = second
            successor = Owner(cluster, source)
            successor.require_exact()
            try:
                await successor.adopt()
            except Killed:
                continue
        cluster.fuse = -1
        cluster.changelog.compact(cluster.changelog.end)
        successor = await new_owner(cluster, source)
        assert successor.next in {small_first, small_first + records}
        moments.add(successor.next)
        assert cluster.offset <= successor.next
        require_gapless(cluster, successor.next, source)
        await successor.flush(100)
        (await new_owner(cluster, source)).require_exact()
    assert fuse > 4
    assert len(moments) == 2, "crashes before and after the moment from which on the flush counts"


def require_gapless(cluster: FakeCluster, position: int, source: list[bytes]) -> None:
    """Whoever drops what it has seen got each total once, and all those that the state stands on."""
    seen: Counter[bytes] = Counter()
    for key, value in cluster.outputs:
        assert int(value or b"") <= seen[key] + 1, "a gap"
        seen[key] = max(seen[key], int(value or b""))
    assert all(seen[key] >= total for key, total in Counter(source[:position]).items())


@pytest.mark.parametrize("seed", range(80))
async def test_owners_and_zombies_in_any_order_leave_the_state_of_one_moment(seed: int) -> None:
    """Owners crash, zombies write in between, compaction runs whenever no zombie's row waits for its repair."""
    rng = random.Random(seed)
    source = keys(rng.randrange(1, 40), 400)
    cluster = FakeCluster()
    zombies: list[Owner] = []
    unrepaired = False

    def interfere() -> None:
        nonlocal unrepaired
        if zombies and rng.random() < 0.15:
            zombie = zombies.pop(rng.randrange(len(zombies)))
            late = zombie.apply(rng.randrange(1, 5))
            cluster.outputs += [(output.key or b"", output.value) for output in late.outputs]
            cluster.changelog.append(zombie.writer._one_batch(late.changes, late.position))
            unrepaired = True

    for _ in range(12):
        cluster.before_send = lambda: None
        if not unrepaired and rng.random() < 0.5:
            cluster.changelog.compact(rng.randrange(cluster.changelog.end + 1))
        owner = Owner(cluster, source)
        owner.require_exact()
        assert cluster.offset <= owner.next, "a reader of the group's offset would skip records"
        cluster.fuse = rng.choice([-1, rng.randrange(40)])
        try:
            await owner.adopt()
            unrepaired = False
            cluster.before_send = interfere
            for _ in range(rng.randrange(8)):
                await owner.flush(rng.choice([0, 1, 3, 60]))
                if not unrepaired and rng.random() < 0.3:
                    cluster.changelog.compact(rng.randrange(cluster.changelog.end + 1))
        except (Killed, RuntimeFailure):
            continue
        if rng.random() < 0.7:
            zombies.append(owner)
    cluster.before_send, cluster.fuse = lambda: None, -1
    last = await new_owner(cluster, source)
    await last.flush(400)
    last = await new_owner(cluster, source)
    assert last.next == len(source)
    require_gapless(cluster, last.next, source)


async def test_of_two_owners_at_most_one_gets_a_flush_through(cluster: FakeCluster) -> None:
    source = keys(3, 20)
    first = await new_owner(cluster, source)
    await first.flush(2)
    second = await new_owner(cluster, source)
    await second.flush(3)
    with pytest.raises(RuntimeFailure, match="another process writes"):
        await first.flush(9)
    with pytest.raises(RuntimeFailure, match="another process writes"):
        await second.flush(1)
    third = await new_owner(cluster, source)
    assert third.next == 5
    third.require_exact()


async def test_what_a_zombie_wrote_is_written_over_before_anything_else(cluster: FakeCluster) -> None:
    source = keys(3, 20)
    zombie = await new_owner(cluster, source)
    owner = await new_owner(cluster, source)
    await owner.flush(12)
    with pytest.raises(RuntimeFailure):
        await zombie.flush(4)
    good = dict(owner.totals)
    successor = await new_owner(cluster, source)
    cluster.changelog.compact(cluster.changelog.end)
    kept = {record.key: record.value for record in cluster.changelog.records}
    assert {key: kept[key] for key in good} == {key: b"%d" % total for key, total in good.items()}
    assert successor.next == 12


async def test_a_repair_that_is_cut_off_makes_the_next_one_no_larger(cluster: FakeCluster) -> None:
    source = keys(40, 200)
    owner = await new_owner(cluster, source)
    await owner.flush(200)
    cluster.changelog.append([(key, b"0") for key in owner.totals])
    for fuse in range(20):
        successor = Owner(cluster, source)
        assert dict(successor.ending.repairs(NOW_MS)) == {key: b"%d" % total for key, total in owner.totals.items()}
        cluster.fuse = fuse
        with pytest.raises(Killed):
            await successor.adopt()
    cluster.fuse = -1
    copies = [row.value for row in cluster.changelog.records if row.key and row.key[:1] == STAGED_MARK and row.value]
    assert len(copies) > 5 * len(owner.totals), "many repairs were cut off with rows staged"
    assert {unstaged(copy)[0] for copy in copies} == set(owner.totals), "rows of the state, and no deletions"
    (await new_owner(cluster, source)).require_exact()
    assert load(cluster)[1].leftovers() == []


async def test_a_rebalance_waits_for_a_repair_under_way_and_none_begins_after_it() -> None:
    """Written beside the next owner's repair, it would void that one and be voided: for ever, if both come again."""
    world, begins, repaired = World(), asyncio.Semaphore(0), asyncio.Event()

    class Repairing(FakeWriter):
        async def adopt(self, ending: Ending, now_ms: int) -> None:
            begins.release()
            await repaired.wait()

    class Loader(AckedLoader):
        async def load(self, loadings: list[Loading], is_current: Callable[[], bool]) -> None:
            for loading in loadings:
                loading.ending = Ending()

    world.assignment._new_writer = lambda _: Repairing(world.events)
    world.assignment._loader = Loader(OPTIONS, "in", CHANGELOG, lambda _: Repairing())  # type: ignore[arg-type, return-value]
    assigning = asyncio.create_task(world.assign(0, 1))
    await begins.acquire()
    suspending = asyncio.create_task(world.assignment.suspend())
    await asyncio.sleep(0.01)
    assert not suspending.done()
    repaired.set()
    await suspending
    assert not await assigning
    assert begins.locked(), "the second partition's did not begin"


async def test_an_owner_that_was_quiet_looks_before_it_writes(cluster: FakeCluster) -> None:
    owner = await new_owner(cluster, keys(3, 20))
    await owner.flush(2)
    end = cluster.changelog.append([(b"stranger", b"1")])
    owner.now_s += LOOK_AFTER_S + 1
    with pytest.raises(RuntimeFailure, match="another process writes"):
        await owner.flush(2)
    assert cluster.changelog.end == end + 1, "nothing was appended that could close the segment"


async def test_a_good_row_that_compaction_took_before_the_repair_is_noticed(cluster: FakeCluster) -> None:
    owner = await new_owner(cluster, keys(1, 20))
    await owner.flush(5)
    cluster.changelog.append([(b"key-0", b"1")], NOW_MS - COMPACTION_LAG_MS - 1)
    assert load(cluster)[1].repairs(NOW_MS) == [(b"key-0", b"5")]
    cluster.changelog.compact(cluster.changelog.end)
    with pytest.raises(RuntimeFailure, match="pegel rebuild"):
        load(cluster)[1].repairs(NOW_MS)


async def test_a_new_key_of_a_flush_that_never_ended_is_deleted(cluster: FakeCluster) -> None:
    owner = await new_owner(cluster, keys(1, 20))
    await owner.flush(5)
    cluster.changelog.append([(b"new", b"1")])
    assert load(cluster)[1].repairs(NOW_MS) == [(b"new", None)]


def test_a_changelog_none_of_whose_position_rows_count_is_refused() -> None:
    cluster = FakeCluster()
    cluster.changelog.append([(b"key-0", b"1"), (POSITION_KEY, encode_position_at(5, 77))])
    with pytest.raises(RuntimeFailure, match="copied from elsewhere"):
        load(cluster)[1].repairs(NOW_MS)


async def test_the_loader_reads_as_far_back_as_it_must_and_hands_the_writer_what_it_needs() -> None:
    source = keys(50, 3_000)
    cluster = FakeCluster()
    owner = await new_owner(cluster, source)
    for _ in range(20):
        await owner.flush(100)
    cluster.changelog.append([(b"key-1", b"0")] * 30_000)
    successor = Owner(cluster, source)
    loader = AckedLoader(OPTIONS, "in", CHANGELOG, lambda _: successor.writer, lambda **_: FakeConsumer(cluster))  # type: ignore[arg-type]
    loading = Loading(0, FakeStage())
    await loader.load([loading], lambda: True)
    await loader.repair([loading], lambda: True)
    assert loading.position == 2_000
    assert loading.stage.rows == {key: b"%d" % total for key, total in owner.totals.items()}  # type: ignore[attr-defined]
    assert cluster.changelog.records[-2].key == b"key-1"
    successor.next = 2_000
    successor.totals = owner.totals
    await successor.flush(5)


class FakeConsumer:
    """Reads the changelog as the loader does."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._log, self._at = cluster.changelog, 0

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def end_offsets(self, tps: Sequence[Any]) -> dict[Any, int]:
        return {tp: self._log.end if tp.topic == CHANGELOG else 0 for tp in tps}

    async def beginning_offsets(self, tps: Sequence[Any]) -> dict[Any, int]:
        return dict.fromkeys(tps, 0)

    def assign(self, tps: Sequence[Any]) -> None:
        self._at = 0

    def seek(self, tp: Any, offset: int) -> None:
        self._at = offset

    async def seek_to_beginning(self, *tps: Any) -> None:
        self._at = 0

    async def getmany(self, *tps: Any, **_: Any) -> dict[Any, list[FakeRecord]]:
        records = [record for record in self._log.records if record.offset >= self._at][:5_000]
        self._at = records[-1].offset + 1 if records else self._log.end
        return {tps[0]: records} if records else {}

    async def position(self, tp: Any) -> int:
        return self._at

    def highwater(self, tp: Any) -> int:
        return self._log.end
