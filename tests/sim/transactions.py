"""The transaction coordinator: ids with epochs, fencing, the moment of decision, and markers that follow it.

Theory of operation. The coordinator decides a commit at once and durably; each partition learns of it later, by a
marker of its own, and so does the group with the offsets. Until all have, another transaction of the same id is turned
away (``ConcurrentTransactions``). Who starts a producer raises the epoch: an open transaction is aborted, and requests
with the old epoch are refused from then on. So does the time-out.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from aiokafka.errors import ConcurrentTransactions, InvalidProducerIdMapping, InvalidTxnState, ProducerFenced

from tests.sim.group import Group
from tests.sim.log import Entry, PartitionLog
from tests.sim.loop import SimLoop
from tests.sim.network import Network

Place = tuple[str, int]


class State(StrEnum):
    EMPTY = "empty"
    ONGOING = "ongoing"
    ENDING = "ending"
    COMPLETE = "complete"


@dataclass(slots=True)
class Transaction:
    id: str
    producer: int
    timeout_s: float
    epoch: int = -1
    state: State = State.EMPTY
    is_commit: bool = False
    places: dict[Place, None] = field(default_factory=dict)
    with_group: bool = False
    serial: int = 0
    """Counts this id's transactions."""
    left: int = 0
    """Markers still to be written."""


@dataclass(frozen=True, slots=True)
class Decided:
    """A commit at the moment it was decided: what will become visible."""

    id: str
    producer: int
    epoch: int
    records: dict[Place, list[Entry]]
    offsets: dict[int, int]


class Transactions:
    def __init__(self, loop: SimLoop, network: Network, logs: Callable[[Place], PartitionLog], group: Group) -> None:
        self._loop = loop
        self._network = network
        self._log = logs
        self._group = group
        self._by_id: dict[str, Transaction] = {}
        self._producers = 0
        self.on_commit: Callable[[Decided], None] = lambda decided: None
        self.on_init: Callable[[str, int, int], None] = lambda transactional_id, producer, epoch: None

    def new_producer(self) -> int:
        self._producers += 1
        return self._producers

    def init(self, transactional_id: str, timeout_s: float) -> tuple[int, int]:
        """Fence whoever had the id, and end what they left open."""
        one = self._by_id.get(transactional_id)
        if one is None:
            one = self._by_id[transactional_id] = Transaction(transactional_id, self.new_producer(), timeout_s)
        if one.state is State.ENDING:
            raise ConcurrentTransactions
        one.epoch += 1
        if one.state is State.ONGOING:
            self._end(one, is_commit=False)
            raise ConcurrentTransactions
        one.state = State.EMPTY
        self.on_init(one.id, one.producer, one.epoch)
        return one.producer, one.epoch

    def _checked(self, transactional_id: str, producer: int, epoch: int) -> Transaction:
        one = self._by_id.get(transactional_id)
        if one is None or one.producer != producer:
            raise InvalidProducerIdMapping
        if one.epoch != epoch:
            raise ProducerFenced
        return one

    def add_partitions(self, transactional_id: str, producer: int, epoch: int, places: Iterable[Place]) -> None:
        one = self._opened(transactional_id, producer, epoch)
        one.places.update(dict.fromkeys(places))

    def add_group(self, transactional_id: str, producer: int, epoch: int) -> None:
        self._opened(transactional_id, producer, epoch).with_group = True

    def _opened(self, transactional_id: str, producer: int, epoch: int) -> Transaction:
        one = self._checked(transactional_id, producer, epoch)
        if one.state is State.ENDING:
            raise ConcurrentTransactions
        if one.state is not State.ONGOING:
            one.state, one.serial = State.ONGOING, one.serial + 1
            self._loop.later(one.timeout_s, self._time_out, one, one.serial)
        return one

    def _time_out(self, one: Transaction, serial: int) -> None:
        if one.state is State.ONGOING and one.serial == serial:
            one.epoch += 1
            self._end(one, is_commit=False)

    def end(self, transactional_id: str, producer: int, epoch: int, is_commit: bool) -> None:  # noqa: FBT001 - as the network calls it
        one = self._checked(transactional_id, producer, epoch)
        if one.state is State.ONGOING:
            self._end(one, is_commit=is_commit)
        elif one.is_commit is not is_commit or one.state is State.EMPTY:
            raise InvalidTxnState
        elif one.state is State.ENDING:
            raise ConcurrentTransactions

    def _end(self, one: Transaction, *, is_commit: bool) -> None:
        one.state, one.is_commit = State.ENDING, is_commit
        if is_commit:
            self.on_commit(self._decided(one))
        one.left = len(one.places) + one.with_group
        for place in one.places:
            self._loop.later(self._network.marker_s(), self._mark, one, place)
        if one.with_group:
            self._loop.later(self._network.marker_s(), self._mark_group, one)
        if not one.left:
            one.state = State.COMPLETE
        one.places, one.with_group = {}, False

    def _decided(self, one: Transaction) -> Decided:
        records = {}
        for place in one.places:
            log = self._log(place)
            first = log.open.get(one.producer, log.end)
            records[place] = [
                entry for entry in log.entries[first:] if entry is not None and entry.producer == one.producer
            ]
        offsets = self._group.pending_of(one.producer) if one.with_group else {}
        return Decided(one.id, one.producer, one.epoch, records, dict(offsets))

    def _mark(self, one: Transaction, place: Place) -> None:
        self._log(place).mark(one.producer, one.epoch, committed=one.is_commit)
        self._marked(one)

    def _mark_group(self, one: Transaction) -> None:
        self._group.mark(one.producer, one.epoch, committed=one.is_commit)
        self._marked(one)

    def _marked(self, one: Transaction) -> None:
        one.left -= 1
        if one.left == 0:
            one.state = State.COMPLETE
