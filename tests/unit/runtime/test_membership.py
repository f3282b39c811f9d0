import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import HeartbeatRequest, SyncGroupRequest

from streams.runtime.failure import FailReason, FailStop, RuntimeFailure
from streams.runtime.membership import (
    FENCED_INSTANCE_ID,
    ILLEGAL_GENERATION,
    LEASE_SHARE,
    NO_ERROR,
    REBALANCE_IN_PROGRESS,
    UNKNOWN_MEMBER_ID,
    Membership,
    NamedHeartbeat,
)

SESSION_S = 10.0
HEARTBEAT = HeartbeatRequest("g", 3, "m")
SYNC = SyncGroupRequest("g", 3, "m", "one", [])


class FakeCoordinator:
    """Answers as the group would, each time after a second."""

    def __init__(self, *answers: int) -> None:
        self.group_id, self.generation, self.member_id = "g", 3, "m"
        self.now_s = 100.0
        self.answers = list(answers)
        self.asked: list[Any] = []

    async def _send_req(self, request: Any) -> Any:
        self.asked.append(request)
        self.now_s += 1
        return SimpleNamespace(error_code=self.answers.pop(0))


@pytest.fixture
async def failure() -> FailStop:
    return FailStop()


def member(coordinator: FakeCoordinator, failure: FailStop, instance_id: str | None = None) -> Membership:
    membership = Membership(round(SESSION_S * 1000), instance_id, failure, lambda: coordinator.now_s)
    membership.watch(coordinator)
    membership.watch(coordinator)
    return membership


async def test_a_lease_counts_from_when_the_heartbeat_was_sent(failure: FailStop) -> None:
    coordinator = FakeCoordinator(NO_ERROR)
    membership = member(coordinator, failure)
    found = [membership.is_certain]
    await coordinator._send_req(HEARTBEAT)
    for left_s in (0.01, 0.0):
        coordinator.now_s = 100 + SESSION_S * LEASE_SHARE - left_s
        found.append(membership.is_certain)
    assert found == [False, True, False]


async def test_a_rebalance_that_is_called_for_takes_nothing_away_yet(failure: FailStop) -> None:
    coordinator = FakeCoordinator(REBALANCE_IN_PROGRESS)
    membership = member(coordinator, failure)
    await coordinator._send_req(HEARTBEAT)
    assert membership.is_certain


async def test_a_flush_outside_of_the_lease_waits_for_the_heartbeat_that_extends_it(failure: FailStop) -> None:
    coordinator = FakeCoordinator(NO_ERROR)
    membership = member(coordinator, failure)
    holding = asyncio.create_task(membership.hold())
    await asyncio.sleep(0.1)
    assert not holding.done()
    await coordinator._send_req(HEARTBEAT)
    await asyncio.wait_for(holding, 5)


@pytest.mark.parametrize("error_code", [ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID])
async def test_a_flush_of_a_member_that_was_thrown_out_is_refused_until_it_has_joined_again(
    failure: FailStop, error_code: int
) -> None:
    coordinator = FakeCoordinator(NO_ERROR, error_code, NO_ERROR)
    membership = member(coordinator, failure)
    await coordinator._send_req(SYNC)
    await membership.hold()
    await coordinator._send_req(HEARTBEAT)
    with pytest.raises(RuntimeFailure, match="does not know this worker"):
        await membership.hold()
    await coordinator._send_req(SYNC)
    await membership.hold()
    assert not failure.failed


async def test_a_flush_that_waits_ends_with_the_worker(failure: FailStop) -> None:
    membership = member(FakeCoordinator(), failure)
    holding = asyncio.create_task(membership.hold())
    failure.fail(FailReason.RUNTIME, RuntimeFailure("other"))
    with pytest.raises(RuntimeFailure, match="has failed"):
        await asyncio.wait_for(holding, 5)


async def test_a_worker_whose_name_another_process_took_ends_and_does_not_join_again(failure: FailStop) -> None:
    coordinator = FakeCoordinator(UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID)
    membership = member(coordinator, failure, "one")
    beating = asyncio.create_task(coordinator._send_req(HEARTBEAT))
    assert await asyncio.wait_for(failure.wait(), 5) is FailReason.INSTANCE_REPLACED
    await asyncio.sleep(0.05)
    assert not beating.done(), "an answer would let the client join, and throw out the other one"
    beating.cancel()
    assert isinstance(coordinator.asked[1], NamedHeartbeat)
    assert not membership.is_certain


async def test_a_worker_whose_session_ran_out_but_whose_name_nobody_took_may_join_again(failure: FailStop) -> None:
    coordinator = FakeCoordinator(UNKNOWN_MEMBER_ID, UNKNOWN_MEMBER_ID)
    member(coordinator, failure, "one")
    answer = await coordinator._send_req(HEARTBEAT)
    assert answer.error_code == UNKNOWN_MEMBER_ID
    await asyncio.sleep(0.05)
    assert not failure.failed


async def test_other_answers_are_none_of_its_business(failure: FailStop) -> None:
    coordinator = FakeCoordinator(NO_ERROR)
    membership = member(coordinator, failure)
    await coordinator._send_req(OffsetCommitRequest("g", 3, "m", -1, []))
    assert not membership.is_certain
