"""`pegel rebuild`: the engagement state, computed anew from the log and put in place of the old one.

Theory of operation. While the workers go on, each partition is recomputed up to where their state stands (`prepare`).
Then they must stop, for two cannot own a partition. Partition by partition the rest follows:

    fence       the partition's transactional id is taken over: nobody who owned it before can commit any more
    catch up    the log is read to exactly the position P that the old state had reached
    decide      what differs from the old rows, and from what was told (`plan`, `reconcile`)
    switch      rows, transitions, memberships and the offset P, in one transaction

So the switch of a partition happens whole or not at all, and the next worker goes on at P as if the rebuilt state had
been there always: nothing before P is written again, nothing after it is left out. Whatever goes wrong before the
commit leaves the old state in place; a worker that starts too early fences this process out, not the other way round.
Run again, it finds what is switched already to be the same.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from aiokafka.errors import KafkaError

from schemas.control import CONTROL_HEADER
from schemas.membership import WireMembership, decode_membership
from streams.app import runtime_options
from streams.engagement import rows
from streams.engagement.agent import output_topics, state_version_of
from streams.engine.program import Program
from streams.errors import ExpectedError
from streams.rebuild.configured import configured_program
from streams.rebuild.groups import committed_offsets, described_group
from streams.rebuild.log import LogReader, LogRecord, OnRead
from streams.rebuild.plan import Plan, Planner, Rebuilt, has_work_in_hand, seed_of
from streams.rebuild.recompute import Recomputation, Rows, first_program
from streams.runtime.ending import Ending
from streams.runtime.failure import RuntimeFailure, described
from streams.runtime.options import Guarantee
from streams.runtime.transaction import Transaction, TransactionalWriter
from streams.settings import Settings
from streams.topics import Topics

STAGE: Final = "engagement"
TRANSACTION_TIMEOUT_MS: Final = 600_000
"""A switch may write every row of a partition; brokers allow a quarter of an hour."""
LOOK_S: Final = 0.5

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted. `partitions` empty: all. `from_ms`: leave out what arrived before.

    `at_end`: the log was put in place of another, and all of it counts as read.
    """

    from_ms: int | None = None
    at_end: bool = False
    partitions: Sequence[int] = ()
    dry_run: bool = False
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Switched:
    """What became of one partition."""

    partition: int
    position: int
    accounts: Counter[str]
    rows: int
    transitions: int


@dataclass(slots=True)
class _Job:
    """One partition under way."""

    partition: int
    cut: bool
    recomputation: Recomputation
    reached: int


class Rebuild:
    """One run, inside of `with LogReader(...)`."""

    def __init__(self, settings: Settings, reader: LogReader, on_total: OnRead, tell: Tell) -> None:
        self._settings = settings
        self._reader = reader
        self._on_total = on_total
        self._tell = tell
        self._topics = Topics(settings.kafka.topic_prefix)
        self._options = replace(
            runtime_options(STAGE, settings, self._topics), transaction_timeout_ms=TRANSACTION_TIMEOUT_MS
        )
        self._group = self._options.group
        self._partitions = reader.partitions(self._topics.account_events)
        self._state_version = state_version_of(settings)
        self._at_end = False

    def run(self, order: Order) -> list[Switched]:
        """Carry the order out; raises `ExpectedError` with what is in the way."""
        self._require_possible(order)
        self._at_end = order.at_end
        told = {account_id: one.sequence for account_id, one in self._memberships().items()}
        program = configured_program(self._settings)
        numbers = order.partitions or range(self._partitions)
        jobs = [self._prepared(number, order, told, program) for number in numbers]
        if order.dry_run:
            memberships = self._memberships()
            return [self._planned(job, memberships)[1] for job in jobs]
        self._await_stopped(order.wait_s)
        memberships = self._memberships()
        return [asyncio.run(self._switch(job, memberships)) for job in jobs]

    def _require_possible(self, order: Order) -> None:
        topics = self._topics
        if self._settings.runtime.guarantee != Guarantee.EXACTLY_ONCE:
            raise ExpectedError(
                "rebuild needs transactions: a partition is switched in one. Run it with runtime.guarantee=exactly_once"
            )
        if self._partitions == 0:
            raise ExpectedError(f"there is no topic {topics.account_events}; create it: pegel topics apply")
        its = self._reader.partitions(topics.accounts_changelog)
        if its != self._partitions:
            raise ExpectedError(
                f"{topics.accounts_changelog} has {its} partitions, {topics.account_events} has {self._partitions}; "
                "delete the changelog and run pegel topics apply: its rows are of another cut"
            )
        unknown = [number for number in order.partitions if number >= self._partitions]
        if unknown:
            raise ExpectedError(f"{topics.account_events} has no partition {unknown[0]}, only 0 to {its - 1}")

    # While the workers go on

    def _prepared(self, number: int, order: Order, told: Mapping[str, int], program: Program) -> _Job:
        reader, topics = self._reader, self._topics
        ending = reader.ending(topics.accounts_changelog, number)
        position = self._position(number, ending)
        begin = reader.extent(topics.account_events, number).begin
        if order.from_ms is not None:
            begin = first_arrival(self._log(number, begin, position), order.from_ms, position)
        cut = begin > 0
        self._on_total(max(0, position - begin))
        seed = seed_of(self._old_rows(number, ending, lambda key: not key.startswith(rows.ACCOUNT))) if cut else {}
        if rows.PARTITION not in seed:
            start = first_program(self._log(number, begin, position), lambda: program)
        else:
            start = program  # the seed has its own
        recomputation = Recomputation(number, self._partitions, topics, start, told)
        if seed:
            recomputation.restore(seed)
        recomputation.feed(self._log(number, begin, position))
        return _Job(number, cut, recomputation, max(begin, position))

    def _log(self, number: int, start: int, end: int) -> Iterator[LogRecord]:
        return self._reader.records(self._topics.account_events, number, start, end)

    def _old_rows(self, number: int, ending: Ending, wanted: Callable[[bytes], bool] = lambda _key: True) -> Rows:
        reader, changelog = self._reader, self._topics.accounts_changelog
        extent = reader.extent(changelog, number)
        found: Rows = {}
        for key, value in ending.admit(reader.records(changelog, number, extent.begin, ending.end)):
            if wanted(key):
                found[key] = value
        return {key: value for key, value in found.items() if value is not None}

    def _memberships(self) -> dict[str, WireMembership]:
        """The latest of each account; of two partitions', as after a change of their number, the later one."""
        topic = self._topics.membership
        latest: dict[str, WireMembership | None] = {}
        for partition in range(self._reader.partitions(topic)):
            here: dict[str, WireMembership | None] = {}
            extent = self._reader.extent(topic, partition)
            for record in self._reader.records(topic, partition, extent.begin, extent.end):
                here[(record.key or b"").decode()] = None if record.value is None else decode_membership(record.value)
            for account_id, found in here.items():
                known = latest.get(account_id)
                if known is None or (found is not None and found.sequence >= known.sequence):
                    latest[account_id] = found
        return {account_id: found for account_id, found in latest.items() if found is not None}

    # When they have stopped

    def _await_stopped(self, wait_s: float) -> None:
        give_up_at = time.monotonic() + wait_s
        asked = False
        while True:
            _, members = described_group(self._reader.admin, self._settings.kafka, self._group)
            if not members:
                return
            if time.monotonic() > give_up_at:
                raise ExpectedError(
                    f"{len(members)} engagement workers are in the group {self._group}; stop them (one with a fixed "
                    "name leaves when its session ends) and run this again, with --wait to be waited for"
                )
            if not asked:
                self._tell("everything so far is recomputed; stop the engagement workers now")
                asked = True
            time.sleep(LOOK_S)

    async def _switch(self, job: _Job, memberships: Mapping[str, WireMembership]) -> Switched:
        topics = self._topics
        # All that the workers may have written to: what hangs of their last transaction ends here.
        outputs = output_topics(topics)
        writer = TransactionalWriter(
            self._options, topics.account_events, topics.accounts_changelog, job.partition, outputs
        )
        try:
            await writer.start()
            plan, switched = await asyncio.to_thread(self._planned, job, memberships)
            if plan.outputs or plan.changes:
                await writer.write(Transaction(plan.outputs, plan.changes, switched.position))
        except (KafkaError, RuntimeFailure) as error:
            raise ExpectedError(
                f"partition {job.partition} keeps its old state: {described(error)}; see that no engagement worker is "
                "at work, then run this again"
            ) from error
        finally:
            await writer.stop()
        return switched

    def _planned(self, job: _Job, memberships: Mapping[str, WireMembership]) -> tuple[Plan, Switched]:
        """Catch up with the old state and decide. The old state must stand still, or this is but a preview."""
        recomputation, number = job.recomputation, job.partition
        ending = self._reader.ending(self._topics.accounts_changelog, number)
        position = self._position(number, ending)
        recomputation.feed(self._log(number, job.reached, position))
        recomputation.settle()
        old = self._old_rows(number, ending)
        if job.cut and has_work_in_hand(old):
            raise ExpectedError(
                f"partition {number}: its worker has yet to bring all accounts through a clock, percentiles or a "
                "catalog, and the part of the log that is read cannot say how; let the workers run until they are "
                "idle, then run this again"
            )
        if rows.PARTITION not in recomputation.rows:
            return Plan(), Switched(number, position, Counter(), 0, 0)
        rebuilt = Rebuilt(recomputation.rows, recomputation.program, recomputation.untold, job.cut)
        now_ms = time.time_ns() // 1_000_000
        plan = Planner(self._topics, old, rebuilt, now_ms, self._state_version).plan(memberships)
        transitions = sum(output.topic == self._topics.transitions for output in plan.outputs)
        return plan, Switched(number, position, plan.accounts, len(plan.changes), transitions)

    def _position(self, number: int, ending: Ending) -> int:
        """Where the old state ends: as a worker has it, the greater of the offset and of what the state says."""
        topics = self._topics
        if self._at_end:
            return self._reader.extent(topics.account_events, number).end
        committed = committed_offsets(self._settings.kafka, self._group, topics.account_events, [number])
        position = max(committed.get(number, 0), ending.position.next)
        end = self._reader.extent(topics.account_events, number).end
        if position > end:
            raise ExpectedError(
                f"partition {number}: the state reaches to {position}, the log to {end}: it was made anew; delete "
                f"{topics.accounts_changelog} and the group {self._group} first (docs/operations.md, Restore)"
            )
        return position


def first_arrival(records: Iterator[LogRecord], from_ms: int, otherwise: int) -> int:
    """The offset of the first event that arrived at `from_ms` or later.

    The broker's own index of times does not say: control records bear the time of their writing, far ahead of history
    that is told around them.
    """
    for record in records:
        if record.timestamp >= from_ms and not any(name == CONTROL_HEADER for name, _ in record.headers):
            return record.offset
    return otherwise
