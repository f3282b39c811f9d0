"""The group coordinator: members, generations, the leader's deal, and the committed offsets.

Theory of operation. A join waits until all known members have joined or the rebalance time-out is over; then there is a
new generation. A member that is not heard of for the session time-out is put out. A static member (one with an instance
id) that comes back within it gets what it had, without a rebalance, and its older self is no member any more.

The deal is the runtime's own (``assignor.deal``), over the claims that came with the joins. Offsets written by a
transaction wait until its end is known here; old producer epochs are refused.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from aiokafka.errors import (
    IllegalGenerationError,
    KafkaError,
    ProducerFenced,
    RebalanceInProgressError,
    UnknownMemberIdError,
)

from streams.runtime.assignor import Claim, deal
from tests.sim.loop import SimLoop

INITIAL_DELAY_S: Final = 0.05


class State(StrEnum):
    EMPTY = "empty"
    PREPARING = "preparing"
    STABLE = "stable"


class FencedInstanceError(KafkaError):  # type: ignore[misc]
    """aiokafka knows no such error, and calls it unexpected."""


@dataclass(frozen=True, slots=True)
class Joined:
    member: str
    generation: int
    partitions: frozenset[int]


@dataclass(slots=True)
class Member:
    id: str
    instance: str | None
    claim: Claim
    heard_at_s: float
    joining: "asyncio.Future[Joined] | None" = None
    partitions: frozenset[int] = frozenset()


@dataclass(slots=True)
class Group:
    loop: SimLoop
    partitions: int
    session_timeout_s: float
    rebalance_timeout_s: float
    on_generation: Callable[[int, dict[str, list[int]]], None] = lambda generation, dealt: None
    state: State = State.EMPTY
    generation: int = 0
    commits: int = 0
    """Outside of transactions."""
    committed: dict[int, int] = field(default_factory=dict)
    _members: dict[str, Member] = field(default_factory=dict)
    _fenced: set[str] = field(default_factory=set)
    _made: int = 0
    _round: int = 0
    _pending: dict[int, dict[int, int]] = field(default_factory=dict)
    _epochs: dict[int, int] = field(default_factory=dict)

    # -- membership ----------------------------------------------------------------------------------------------------

    def join(self, member_id: str, instance: str | None, claim: Claim) -> "asyncio.Future[Joined]":
        if member_id in self._fenced:
            raise FencedInstanceError
        if member_id and member_id not in self._members:
            raise UnknownMemberIdError
        joining: asyncio.Future[Joined] = self.loop.create_future()
        before = next(
            (one for one in self._members.values() if instance is not None and one.instance == instance), None
        )
        if not member_id and before is not None:
            return self._replace(before, claim, joining)
        member = self._members.get(member_id) or self._new(instance, claim)
        member.joining, member.claim, member.heard_at_s = joining, claim, self.loop.now_s
        self._rebalance()
        return joining

    def _new(self, instance: str | None, claim: Claim) -> Member:
        self._made += 1
        member = Member(f"m{self._made}", instance, claim, self.loop.now_s)
        self._members[member.id] = member
        self.loop.later(self.session_timeout_s, self._expire, member)
        return member

    def _replace(self, before: Member, claim: Claim, joining: "asyncio.Future[Joined]") -> "asyncio.Future[Joined]":
        del self._members[before.id]
        self._fenced.add(before.id)
        member = self._new(before.instance, claim)
        if self.state is State.STABLE:
            member.partitions = before.partitions
            joining.set_result(Joined(member.id, self.generation, member.partitions))
        else:
            member.joining = joining
            self._rebalance()
        return joining

    def _rebalance(self) -> None:
        if self.state is not State.PREPARING:
            delay_s = INITIAL_DELAY_S if self.state is State.EMPTY else self.rebalance_timeout_s
            self.state = State.PREPARING
            self._round += 1
            self.loop.later(delay_s, self._deadline, self._round)
        elif self.generation == 0:
            return
        self._maybe_complete()

    def _deadline(self, number: int) -> None:
        if self.state is State.PREPARING and self._round == number:
            self._complete()

    def _maybe_complete(self) -> None:
        if self.generation and self.state is State.PREPARING:
            if not self._members:
                self.state = State.EMPTY
            elif all(one.joining is not None for one in self._members.values()):
                self._complete()

    def _complete(self) -> None:
        gone = [one for one in self._members.values() if one.joining is None and one.instance is None]
        for one in gone:
            del self._members[one.id]
        if not self._members:
            self.state = State.EMPTY
            return
        self.generation += 1
        self.state = State.STABLE
        dealt = deal(range(self.partitions), {one.id: one.claim for one in self._members.values()})
        self.on_generation(self.generation, dealt)
        for one in self._members.values():
            one.partitions = frozenset(dealt[one.id])
            one.heard_at_s = self.loop.now_s
            if one.joining is not None:
                one.joining.set_result(Joined(one.id, self.generation, one.partitions))
                one.joining = None

    def heartbeat(self, member_id: str, generation: int) -> None:
        if member_id in self._fenced:
            raise FencedInstanceError
        member = self._members.get(member_id)
        if member is None:
            raise UnknownMemberIdError
        if generation != self.generation:
            raise IllegalGenerationError
        member.heard_at_s = self.loop.now_s
        if self.state is State.PREPARING:
            raise RebalanceInProgressError

    def leave(self, member_id: str) -> None:
        member = self._members.pop(member_id, None)
        if member is not None:
            self._went()

    def _expire(self, member: Member) -> None:
        if self._members.get(member.id) is not member:
            return
        heard_at_s = self.loop.now_s if member.joining is not None else member.heard_at_s
        left_s = heard_at_s + self.session_timeout_s - self.loop.now_s
        if left_s > 1e-9:
            self.loop.later(left_s, self._expire, member)
            return
        del self._members[member.id]
        self._went()

    def _went(self) -> None:
        if self.state is State.STABLE and self._members:
            self._rebalance()
        elif self.state is State.STABLE:
            self.state = State.EMPTY
        else:
            self._maybe_complete()

    def move(self) -> None:
        """Another broker is the coordinator: it knows the members, and counts their silence anew."""
        for member in self._members.values():
            member.heard_at_s = self.loop.now_s

    # -- offsets -------------------------------------------------------------------------------------------------------

    def fetch_offsets(self, numbers: tuple[int, ...]) -> dict[int, int | None]:
        return {number: self.committed.get(number) for number in numbers}

    def commit(self, member_id: str, generation: int, offsets: dict[int, int]) -> None:
        """Take a member's own commit, outside of transactions."""
        if member_id not in self._members:
            raise UnknownMemberIdError
        if generation != self.generation:
            raise IllegalGenerationError
        self.committed |= offsets
        self.commits += 1

    def commit_in_transaction(self, producer: int, epoch: int, offsets: dict[int, int]) -> None:
        if epoch < self._epochs.get(producer, -1):
            raise ProducerFenced
        self._epochs[producer] = epoch
        self._pending.setdefault(producer, {}).update(offsets)

    def pending_of(self, producer: int) -> dict[int, int]:
        return self._pending.get(producer, {})

    def mark(self, producer: int, epoch: int, *, committed: bool) -> None:
        self._epochs[producer] = max(epoch, self._epochs.get(producer, -1))
        offsets = self._pending.pop(producer, {})
        if committed:
            self.committed |= offsets
