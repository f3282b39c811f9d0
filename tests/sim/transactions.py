"""The transaction coordinator: ids with epochs, fencing, the moment of decision, and markers that follow it.

Theory of operation. The coordinator decides a commit at once and durably; each partition learns of it later, by a
marker of its own, and so does the group with the offsets. Until all have, another transaction of the same id is turned
away (``ConcurrentTransactions``). Who starts a producer raises the epoch: an open transaction is aborted, and requests
with the old epoch are refused from then on. So does the time-out.

A coordinator may come back and forget markers that were not written yet (``forgets``): the transaction is complete for
it, and in some places it stays open until the same producer's next one ends there. Clients see that their connection to
it is another one (``generation``).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Final

from aiokafka.errors import ConcurrentTransactions, InvalidProducerIdMapping, InvalidTxnState, ProducerFenced

from tests.sim.group import Group
from tests.sim.log import Entry, PartitionLog
from tests.sim.loop import SimLoop
from tests.sim.network import Network

Place = tuple[str, int]
FORGOTTEN_RATE: Final = 0.7


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
    process: int = 0
    """Who started the producer last."""
    is_said_again: bool = False
    """The open transaction is there to end what hangs of the last one."""
    hangs: bool = False
    decided_to: dict[Place, int] = field(default_factory=dict)
    offsets_decided: dict[int, int] = field(default_factory=dict)
    unmarked: set[Place | None] = field(default_factory=set)
    """Who has still to hear of the end; None: the group."""


@dataclass(frozen=True, slots=True)
class Described:
    state: State
    is_commit: bool


@dataclass(frozen=True, slots=True)
class Decided:
    """A commit at the moment it was decided: what will become visible."""

    id: str
    producer: int
    epoch: int
    records: dict[Place, list[Entry]]
    offsets: dict[int, int]


class Transactions:
    def __init__(
        self, loop: SimLoop, network: Network, logs: Callable[[Place], PartitionLog], group: Group, random: Random
    ) -> None:
        self._loop = loop
        self._network = network
        self._log = logs
        self._group = group
        self._random = random
        self._by_id: dict[str, Transaction] = {}
        self._producers = 0
        self.forgets = 0
        """At so many of the next decisions the coordinator comes back and forgets."""
        self.generation = 0
        """Counts how often it came back."""
        self.on_commit: Callable[[Decided], None] = lambda decided: None
        self.on_double_fault: Callable[[], None] = lambda: None
        """Where something hangs, and whoever was about to end it is ended too: no client can know what to do."""
        self._processes = 0
        self.on_init: Callable[[str, int, int], None] = lambda transactional_id, producer, epoch: None

    def new_producer(self) -> int:
        self._producers += 1
        return self._producers

    def new_process(self) -> int:
        self._processes += 1
        return self._processes

    def init(self, transactional_id: str, timeout_s: float, process: int) -> tuple[int, int]:
        """Fence whoever had the id, and end what they left open."""
        one = self._by_id.get(transactional_id)
        if one is None:
            one = self._by_id[transactional_id] = Transaction(transactional_id, self.new_producer(), timeout_s)
        if one.state is State.ENDING:
            raise ConcurrentTransactions
        if one.state is State.EMPTY and one.hangs and process != one.process:
            self.on_double_fault()
        one.epoch += 1
        if one.state is State.ONGOING:
            self._give_up(one)
            raise ConcurrentTransactions
        one.state, one.process = State.EMPTY, process
        self.on_init(one.id, one.producer, one.epoch)
        return one.producer, one.epoch

    def describe(self, transactional_id: str) -> Described | None:
        one = self._by_id.get(transactional_id)
        if one is None:
            return None
        return Described(one.state, one.is_commit and one.state in (State.ENDING, State.COMPLETE))

    def _checked(self, transactional_id: str, producer: int, epoch: int) -> Transaction:
        one = self._by_id.get(transactional_id)
        if one is None or one.producer != producer:
            raise InvalidProducerIdMapping
        if one.epoch != epoch:
            raise ProducerFenced
        return one

    def add_partitions(
        self,
        transactional_id: str,
        producer: int,
        epoch: int,
        places: Iterable[Place],
        is_said_again: bool,  # noqa: FBT001 - as the network calls it
    ) -> None:
        one = self._opened(transactional_id, producer, epoch)
        one.is_said_again |= is_said_again  # a late request of another transaction may come in between
        one.places.update(dict.fromkeys(places))

    def add_group(self, transactional_id: str, producer: int, epoch: int) -> None:
        self._opened(transactional_id, producer, epoch).with_group = True

    def _opened(self, transactional_id: str, producer: int, epoch: int) -> Transaction:
        one = self._checked(transactional_id, producer, epoch)
        if one.state is State.ENDING:
            raise ConcurrentTransactions
        if one.state is not State.ONGOING:
            one.state, one.serial, one.is_said_again = State.ONGOING, one.serial + 1, False
            self._loop.later(one.timeout_s, self._time_out, one, one.serial)
        return one

    def _time_out(self, one: Transaction, serial: int) -> None:
        if one.state is State.ONGOING and one.serial == serial:
            one.epoch += 1
            self._give_up(one)

    def _give_up(self, one: Transaction) -> None:
        if one.hangs and one.is_said_again:
            self.on_double_fault()
        self._end(one, is_commit=False)

    def end(self, transactional_id: str, producer: int, epoch: int, is_commit: bool, is_said_again: bool) -> None:  # noqa: FBT001 - as the network calls it
        one = self._checked(transactional_id, producer, epoch)
        if one.state is State.ONGOING:
            self._end(one, is_commit=is_commit, is_news=not is_said_again)
        elif one.is_commit is not is_commit or one.state is State.EMPTY:
            raise InvalidTxnState
        elif one.state is State.ENDING:
            raise ConcurrentTransactions

    def _end(self, one: Transaction, *, is_commit: bool, is_news: bool = True) -> None:
        one.state, one.is_commit = State.ENDING, is_commit
        if is_commit and is_news:
            self.on_commit(self._decided(one))
        everybody: list[Place | None] = [*one.places, *([None] if one.with_group else [])]
        one.places, one.with_group, one.hangs = {}, False, self.forgets > 0
        if self.forgets:
            self.forgets -= 1
            self.generation += 1
            everybody = [place for place in everybody if self._random.random() > FORGOTTEN_RATE]
        one.unmarked = set(everybody)
        for place in everybody:
            self._loop.later(self._network.marker_s(), self._mark, one, place)
        if not everybody:
            one.state = State.COMPLETE

    def _decided(self, one: Transaction) -> Decided:
        records = {}
        for place in one.places:
            log = self._log(place)
            # What hangs of an earlier transaction was decided then.
            first = max(log.open.get(one.producer, log.end), one.decided_to.get(place, 0))
            one.decided_to[place] = log.end
            records[place] = [
                entry for entry in log.entries[first:] if entry is not None and entry.producer == one.producer
            ]
        offsets = dict(self._group.pending_of(one.producer)) if one.with_group else {}
        if not any(records.values()) and offsets == one.offsets_decided:
            offsets = {}
        one.offsets_decided = offsets
        return Decided(one.id, one.producer, one.epoch, records, offsets)

    def _mark(self, one: Transaction, place: Place | None) -> None:
        if place is None:
            self._group.mark(one.producer, one.epoch, committed=one.is_commit)
        else:
            self._log(place).mark(one.producer, one.epoch, committed=one.is_commit)
        one.unmarked.discard(place)
        if not one.unmarked:
            one.state = State.COMPLETE
