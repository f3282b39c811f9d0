"""What the group says of this worker: that it is a member still, and that nobody took its name.

Theory of operation. The Kafka client keeps for itself what the group answers: it joins again silently when it was
thrown out, and does not know the answer that another process joined under its ``instance_id``. So every answer of the
group is looked at on its way to the client (``watch``):

* **The lease.** A member is one for a session time-out from its last heartbeat that was answered well, counted from
  when that was *sent*. As long as that is the case no other worker has its partitions. ``hold`` lets a flush go on
  only within the lease: else it waits for a heartbeat, or raises because the group has thrown this worker out. A
  process that was stopped for longer than the session finds out here before it sends anything. The clock counts time
  that the machine slept through. What a lease cannot see is in ``acked.py``.
* **The name.** When the group does not know this member any more and it has an ``instance_id``, one more heartbeat is
  sent, in the version that carries the name. The answer FENCED_INSTANCE_ID says that another process bears it: this one
  ends, and does not join again, which would throw out the other one.

``watch`` and what it calls run in the consumer's thread. Pinned to aiokafka 0.14.0.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.group import HeartbeatRequest, HeartbeatResponse_v1, JoinGroupRequest, SyncGroupRequest
from aiokafka.protocol.types import Int32, Schema, String

from streams.runtime.failure import FailReason, FailStop, RuntimeFailure

LEASE_SHARE: Final = 0.8
"""Of the session time-out: the rest is for what was sent to arrive."""
LOOK_S: Final = 0.05

NO_ERROR: Final = 0
ILLEGAL_GENERATION: Final = 22
UNKNOWN_MEMBER_ID: Final = 25
REBALANCE_IN_PROGRESS: Final = 27
FENCED_INSTANCE_ID: Final = 82


def seconds_awake_or_not() -> float:
    """A clock that goes on while the machine is suspended, where there is one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Membership:
    """One worker's place in its group."""

    def __init__(
        self,
        session_timeout_ms: int,
        instance_id: str | None,
        failure: FailStop,
        clock: Callable[[], float] = seconds_awake_or_not,
    ) -> None:
        self._lease_s = session_timeout_ms / 1000 * LEASE_SHARE
        self._instance_id = instance_id
        self._failure = failure
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._answered_at: float | None = None
        self._thrown_out = False
        self._watched: Any = None

    # -- in the consumer's thread ------------------------------------------------------------------------------------

    def watch(self, coordinator: Any) -> None:
        """Look at every answer that the group gives to this coordinator of the client."""
        if coordinator is self._watched:
            return
        self._watched = coordinator
        send = coordinator._send_req  # noqa: SLF001 - the seam

        async def sent(request: Any) -> Any:
            began = self._clock()
            response = await send(request)
            if not isinstance(request, HeartbeatRequest | JoinGroupRequest | SyncGroupRequest):
                return response
            if await self._is_replaced(response.error_code, send, coordinator):
                self._end()
                await asyncio.Event().wait()  # for ever: the client would join again
            self.note(response.error_code, began, joined=isinstance(request, SyncGroupRequest))
            return response

        coordinator._send_req = sent  # noqa: SLF001

    async def _is_replaced(self, error_code: int, send: Callable[[Any], Any], coordinator: Any) -> bool:
        if error_code != UNKNOWN_MEMBER_ID or self._instance_id is None or not coordinator.member_id:
            return error_code == FENCED_INSTANCE_ID
        asked = NamedHeartbeat(coordinator.group_id, coordinator.generation, coordinator.member_id, self._instance_id)
        answer = await send(asked)
        return bool(answer.error_code == FENCED_INSTANCE_ID)

    def _end(self) -> None:
        self._thrown_out = True
        error = RuntimeFailure(
            f"another process has joined the group as instance_id {self._instance_id}; this one, the older, ends: "
            "give each worker an instance_id of its own"
        )
        self._loop.call_soon_threadsafe(self._failure.fail, FailReason.INSTANCE_REPLACED, error)

    def note(self, error_code: int, sent_at: float, *, joined: bool = False) -> None:
        """Take an answer of the group to a request that was sent then."""
        if error_code in (ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID):
            self._thrown_out = True
        elif error_code in (NO_ERROR, REBALANCE_IN_PROGRESS):
            self._answered_at = sent_at
            if joined:
                self._thrown_out = False

    # -- anywhere ----------------------------------------------------------------------------------------------------

    @property
    def is_certain(self) -> bool:
        """No other worker can have this one's partitions."""
        answered_at = self._answered_at
        return not self._thrown_out and answered_at is not None and self._clock() - answered_at < self._lease_s

    async def hold(self) -> None:
        """Return within the lease; wait for the heartbeat that extends it, raise once the group says no."""
        while not self.is_certain:
            if self._thrown_out:
                raise RuntimeFailure("the group does not know this worker any more: others may have its partitions")
            self._failure.check()
            await asyncio.sleep(LOOK_S)


class _NamedHeartbeatResponse(Response):  # type: ignore[misc]
    API_KEY = 12
    API_VERSION = 3
    SCHEMA = HeartbeatResponse_v1.SCHEMA


class _NamedHeartbeat(RequestStruct):  # type: ignore[misc]
    API_KEY = 12
    API_VERSION = 3
    RESPONSE_TYPE = _NamedHeartbeatResponse
    SCHEMA = Schema(
        ("group", String("utf-8")),
        ("generation_id", Int32),
        ("member_id", String("utf-8")),
        ("group_instance_id", String("utf-8")),
    )


class NamedHeartbeat(Request[_NamedHeartbeat]):  # type: ignore[misc]
    """The heartbeat that tells the group the member's name; the client knows only older ones."""

    API_KEY = 12

    def __init__(self, group: str, generation: int, member_id: str, instance_id: str) -> None:
        self._fields = group, generation, member_id, instance_id

    def build(self, request_struct_class: type[_NamedHeartbeat]) -> _NamedHeartbeat:
        return request_struct_class(*self._fields)
