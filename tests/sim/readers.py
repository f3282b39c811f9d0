"""The two ways a worker reads: the loader's consumer, and the member of the group, with what aiokafka does for each.

A member keeps its claim and tells it with every join; revocation comes before the join and assignment after it, while
nobody else's calls are answered; heartbeats stop in between. Where it stands in a partition is forgotten with the
assignment.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol

from aiokafka import TopicPartition
from aiokafka.errors import (
    IllegalGenerationError,
    IllegalStateError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)

from streams.runtime.assignor import NO_CLAIM, Claim
from streams.runtime.membership import (
    ILLEGAL_GENERATION,
    NO_ERROR,
    REBALANCE_IN_PROGRESS,
    UNKNOWN_MEMBER_ID,
    Membership,
)
from streams.runtime.partition import Standing
from tests.sim.cluster import INPUT, Cluster
from tests.sim.group import FencedInstanceError, Joined
from tests.sim.log import Entry
from tests.sim.loop import SimLoop
from tests.sim.producer import BACKOFF_S, RETRIED, repeated
from tests.sim.transactions import Place

HEARTBEAT_S = 0.5


class SimReader:
    """A consumer without a group that reads whole partitions."""

    def __init__(self, cluster: Cluster, **_: Any) -> None:
        self._cluster = cluster
        self._positions: dict[Place, int] = {}
        self._ends: dict[Place, int] = {}

    async def start(self) -> None:
        await asyncio.sleep(self._cluster.hop_s())

    async def stop(self) -> None:
        await asyncio.sleep(self._cluster.hop_s())

    def assign(self, tps: list[TopicPartition]) -> None:
        self._positions = {(tp.topic, tp.partition): 0 for tp in tps}

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self._positions[tp.topic, tp.partition] = offset
        self._ends.pop((tp.topic, tp.partition), None)

    async def seek_to_beginning(self, *_: TopicPartition) -> None:
        await asyncio.sleep(self._cluster.hop_s())

    async def getmany(
        self, *tps: TopicPartition, timeout_ms: int, max_records: int = 500
    ) -> dict[TopicPartition, list[Entry]]:
        wanted = {(tp.topic, tp.partition): self._positions[tp.topic, tp.partition] for tp in tps}
        try:
            fetched = await self._cluster.fetch(wanted, max_records, timeout_ms / 1000)
        except RETRIED:
            return {}
        found = {}
        for place, (records, stands, _, end) in fetched.items():
            self._positions[place], self._ends[place] = stands, end
            if records:
                found[TopicPartition(*place)] = records
        return found

    async def position(self, tp: TopicPartition) -> int:
        return self._positions[tp.topic, tp.partition]

    def highwater(self, tp: TopicPartition) -> int | None:
        return self._ends.get((tp.topic, tp.partition))

    async def end_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        ends = await repeated(lambda: self._cluster.ends([(tp.topic, tp.partition) for tp in tps]))
        return {TopicPartition(*place): end for place, end in ends.items()}

    async def beginning_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(tps, 0)


class Listener(Protocol):
    """Who is told of rebalances; the member waits until it has dealt with them."""

    async def on_revoked(self) -> None: ...
    async def on_assigned(self, assigned: frozenset[int], generation: int) -> None: ...


@dataclass(slots=True)
class Position:
    read_to: int | None = None
    visible_end: int | None = None
    answers: int = 0


class GroupMember:
    """The consumer of one worker."""

    def __init__(
        self, loop: SimLoop, cluster: Cluster, instance: str | None, listener: Listener, membership: Membership
    ) -> None:
        self._membership = membership
        self._loop = loop
        self._cluster = cluster
        self._instance = instance
        self._listener = listener
        self._claim = NO_CLAIM
        self._id = ""
        self._rejoin = asyncio.Event()
        self._beating: asyncio.Task[None] | None = None
        self._positions: dict[int, Position] = {}
        self.generation = -1
        self.assigned: frozenset[int] = frozenset()

    async def take_part(self) -> None:
        """Be a member, for ever."""
        while True:
            await self._listener.on_revoked()
            await self._stop_beating()
            joined = await self._join()
            self._rejoin.clear()
            self._id, self.generation, self.assigned = joined.member, joined.generation, joined.partitions
            self._claim = Claim(int(self._loop.now_s * 1000), joined.partitions)
            self._positions = {number: Position() for number in joined.partitions}
            await self._listener.on_assigned(joined.partitions, joined.generation)
            self._beating = asyncio.create_task(self._beat())
            await self._rejoin.wait()

    async def _join(self) -> Joined:
        while True:
            began_s = self._loop.now_s
            try:
                joined: Joined = await self._cluster.coordinated(
                    "join", self._cluster.group.join, self._id, self._instance, self._claim
                )
            except UnknownMemberIdError:
                self._membership.note(UNKNOWN_MEMBER_ID, began_s)
                self._id = ""
            except RETRIED:
                pass
            except FencedInstanceError:
                self._membership._end()
                await asyncio.Event().wait()
            else:
                # The client takes the lease from its last request, the sync, which asks for what was just given.
                self._membership.note(NO_ERROR, began_s, joined=True)
                return joined
            await asyncio.sleep(BACKOFF_S)

    async def _stop_beating(self) -> None:
        if self._beating is not None and not self._beating.done():
            self._beating.cancel()
            await asyncio.wait([self._beating])

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            began_s = self._loop.now_s
            try:
                await self._cluster.coordinated("beat", self._cluster.group.heartbeat, self._id, self.generation)
                self._membership.note(NO_ERROR, began_s)
            except RebalanceInProgressError:
                self._membership.note(REBALANCE_IN_PROGRESS, began_s)
                self._rejoin.set()
            except (IllegalGenerationError, UnknownMemberIdError) as error:
                unknown = isinstance(error, UnknownMemberIdError)
                self._membership.note(UNKNOWN_MEMBER_ID if unknown else ILLEGAL_GENERATION, began_s)
                self._id = ""
                self._rejoin.set()
                return
            except RETRIED:
                continue
            except FencedInstanceError:
                self._membership._end()
                return

    async def leave(self) -> None:
        if self._id:
            await self._cluster.coordinated("leave", self._cluster.group.leave, self._id)

    async def committed(self, numbers: Collection[int]) -> dict[int, int | None]:
        if not numbers:
            return {}
        asked = tuple(numbers)
        offsets: dict[int, int | None] = await repeated(
            lambda: self._cluster.coordinated("committed", self._cluster.group.fetch_offsets, asked)
        )
        return offsets

    async def hold(self) -> None:
        await self._membership.hold()

    async def commit(self, tp: TopicPartition, offset: int) -> None:
        """Commit as a member of the present generation. Who is asked again may be a member of another one by then."""
        await asyncio.sleep(self._cluster.hop_s())
        commit = self._cluster.group.commit

        def ask() -> asyncio.Future[None]:
            if tp.partition not in self.assigned:
                raise IllegalStateError(f"partition {tp.partition} is not assigned")
            return self._cluster.coordinated("commit", commit, self._id, self.generation, {tp.partition: offset})

        await repeated(ask)

    async def end_of(self, tp: TopicPartition) -> int:
        place = tp.topic, tp.partition
        ends = await repeated(lambda: self._cluster.ends([place]))
        return int(ends[place])

    async def seek(self, targets: dict[int, int]) -> None:
        await asyncio.sleep(self._cluster.hop_s())
        for number, offset in targets.items():
            if (position := self._positions.get(number)) is not None:
                position.read_to = offset

    async def fetch(
        self, numbers: Collection[int], records_max: int, wait_s: float
    ) -> tuple[dict[int, list[Entry]], dict[int, Standing]]:
        """Return records by partition, and how each partition's position moved."""
        positions = self._positions
        before = {number: one.read_to for number, one in positions.items() if one.read_to is not None}
        wanted = {(INPUT, number): before[number] for number in numbers if number in before}
        try:
            fetched = await self._cluster.fetch(wanted, records_max, wait_s)
        except RETRIED:
            fetched = {}
        found: dict[int, list[Entry]] = {}
        for (_, number), (records, stands, stable_end, _) in fetched.items():
            position = positions[number]
            position.read_to, position.visible_end, position.answers = stands, stable_end, position.answers + 1
            if records:
                found[number] = records
        standings = {
            number: Standing(before.get(number), one.read_to, one.visible_end, one.answers)
            for number, one in positions.items()
            if one.read_to is not None and one.visible_end is not None
        }
        return found, standings
