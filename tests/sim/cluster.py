"""The brokers: logs by topic and partition, the two coordinators, and the requests that clients make of them."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Any, Final

from aiokafka.errors import MessageSizeTooLargeError, NotCoordinatorError

from tests.sim.group import Group
from tests.sim.log import Entry, NewRecord, PartitionLog
from tests.sim.loop import SimLoop
from tests.sim.network import Network, settle
from tests.sim.transactions import Place, Transactions

INPUT: Final = "input"
OUTPUT: Final = "output"
CHANGELOG: Final = "changelog"

Fetched = dict[Place, tuple[list[Entry], int, int, int]]
"""Records, where the reader stands then, the stable end and the end."""


class Cluster:
    def __init__(self, loop: SimLoop, network: Network, group: Group, random: Random, partitions: int) -> None:
        self._loop = loop
        self._network = network
        self.random = random
        self.partitions = partitions
        self.group = group
        self.logs: dict[Place, PartitionLog] = {
            (topic, number): PartitionLog() for topic in (INPUT, OUTPUT, CHANGELOG) for number in range(partitions)
        }
        self.transactions = Transactions(loop, network, self.logs.__getitem__, group, random)
        self.moving_until_s = 0.0
        """No coordinator answers before."""
        self.refusals = 0
        """Batches that will be refused for good, as one that is too large is."""

    def move_coordinators(self, lasts_s: float) -> None:
        self.moving_until_s = self._loop.now_s + lasts_s
        self._loop.later(lasts_s, self.group.move)

    # -- requests ------------------------------------------------------------------------------------------------------

    def coordinated(self, name: str, apply: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        """Ask a coordinator; while it moves, whoever is asked is none."""

        def at_coordinator(*arguments: Any) -> Any:
            if self._loop.now_s < self.moving_until_s:
                raise NotCoordinatorError
            return apply(*arguments)

        return self._network.call(name, at_coordinator, *arguments)

    def produce(
        self, place: Place, records: Sequence[NewRecord], producer: int, epoch: int, number: int, *, transactional: bool
    ) -> asyncio.Future[Any]:
        return self._network.call(
            "produce", partial(self._append, transactional=transactional), place, records, producer, epoch, number
        )

    def _append(
        self, place: Place, records: Sequence[NewRecord], producer: int, epoch: int, number: int, *, transactional: bool
    ) -> int:
        if self.refusals and not self._network.is_calm:
            self.refusals -= 1
            raise MessageSizeTooLargeError
        return self.logs[place].append(records, producer, epoch, number, transactional=transactional)

    def fetch(self, positions: dict[Place, int], records_max: int, wait_s: float) -> asyncio.Future[Fetched]:
        return self._network.call("fetch", self._fetched, tuple(positions.items()), records_max, wait_s)

    def _fetched(self, positions: tuple[tuple[Place, int], ...], records_max: int, wait_s: float) -> Any:
        now = self._read(positions, records_max)
        if not wait_s or any(
            stands != start for (_, start), (_, stands, _, _) in zip(positions, now.values(), strict=True)
        ):
            return now
        news: asyncio.Future[None] = self._loop.create_future()
        answer: asyncio.Future[Fetched] = self._loop.create_future()
        news.add_done_callback(
            lambda _: answer.set_result(self._read(positions, records_max)), context=self._loop.world
        )
        for place, _ in positions:
            self.logs[place].waiting.append(news)
        self._loop.later(wait_s, settle, news, None)
        return answer

    def _read(self, positions: tuple[tuple[Place, int], ...], records_max: int) -> Fetched:
        read: Fetched = {}
        for place, start in positions:
            log = self.logs[place]
            records, stands = log.read(start, records_max)
            read[place] = records, stands, log.stable_end, log.end
        return read

    def ends(self, places: Sequence[Place]) -> asyncio.Future[dict[Place, int]]:
        """Ask where a reader of committed records would end."""
        return self._network.call("ends", lambda: {place: self.logs[place].stable_end for place in places})

    def hop_s(self) -> float:
        return self.random.random() * 0.0005
