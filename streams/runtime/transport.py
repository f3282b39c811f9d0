"""The seams in Faust's transport: batches instead of events, and Faust's offsets reduced to a witness.

Theory of operation. Faust keeps the consumer group, the assignment, flow control and the agent. Overridden is what it
does per event and what it believes about offsets:

* ``getmany`` fetches for the partitions that want more, and hands on one message per batch (thousands of events) as
  ``delivery.py`` releases them; Faust's per-event path delivers 10,000 events/s, this one more than 100,000;
* a batch is acked as one message with its last offset. Offsets have gaps (transaction markers, compaction), so Faust's
  gap arithmetic is replaced by a queue of the offsets that were handed out (``DeliveredOffsets``);
* committing is the flush's business (``flush.py``). Faust's own commit is kept as a second witness: what it holds for
  processed must have been applied, or the worker stops;
* a rebalance flushes *before* Faust drops what it knows, and the seek goes to where each partition stands;
* readers see committed records only.

The consumer runs in Faust's own thread (heartbeats go on while the loop computes); everything else here runs in the
main loop. Pinned to faust-streaming 0.15.3.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import TopicPartition
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.transport.drivers.aiokafka import Consumer as FaustConsumer
from faust.transport.drivers.aiokafka import Transport as FaustTransport
from faust.types import TP, ConsumerMessage

from streams.runtime.assignor import StickyAssignor
from streams.runtime.client_names import reader_name
from streams.runtime.delivery import Delivery
from streams.runtime.failure import FailReason, RuntimeFailure
from streams.runtime.partition import Batch, Standing
from streams.runtime.raw_records import RawConsumer
from streams.runtime.stage import InputRecord

PARTITION_FETCH_BYTES_MAX: Final = 4 << 20
FETCH_WAIT_MAX_MS: Final = 50
POLL_S: Final = 0.25
"""How long a fetch waits for records: also how old the knowledge of the log's end may get."""
HELD_BACK_POLL_S: Final = 0.05
"""The same while a partition is held back, so that it is asked again soon."""
MAX_POLL_INTERVAL_MS: Final = 300_000
TIMESTAMP_TYPE_CREATE: Final = 0


class DeliveredOffsets:
    """Last offsets of the batches of one partition that were handed out, oldest first."""

    def __init__(self) -> None:
        self._waiting: deque[int] = deque()

    def handed_out(self, last_offset: int) -> None:
        self._waiting.append(last_offset)

    def processed_to(self, acked: set[int]) -> int | None:
        """Return the offset after the last batch of the unbroken acked run at the front, and forget the run."""
        reached: int | None = None
        while self._waiting and self._waiting[0] in acked:
            reached = self._waiting.popleft()
            acked.discard(reached)
        return None if reached is None else reached + 1


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came from one fetch; records and standings were taken together."""

    records: Mapping[Any, Sequence[InputRecord]]
    standings: Mapping[int, Standing]


class BatchConsumerThread(AIOKafkaConsumerThread):  # type: ignore[misc]
    """The thread that talks to Kafka."""

    def _create_worker_consumer(self, transport: Any) -> RawConsumer:  # noqa: ARG002
        options = self.app.options
        return RawConsumer(
            **options.kafka.arguments(),
            client_id=reader_name(options.group),
            group_id=options.group,
            group_instance_id=options.instance_id,
            partition_assignment_strategy=[StickyAssignor()],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            max_poll_records=options.batch_records_max,
            max_poll_interval_ms=MAX_POLL_INTERVAL_MS,
            max_partition_fetch_bytes=PARTITION_FETCH_BYTES_MAX,
            fetch_max_wait_ms=FETCH_WAIT_MAX_MS,
            session_timeout_ms=options.session_timeout_ms,
            rebalance_timeout_ms=options.rebalance_timeout_ms,
            heartbeat_interval_ms=options.heartbeat_interval_ms,
        )

    async def _fetch_records(self, consumer: Any, active_partitions: Any, **limits: Any) -> Fetched:
        before = {tp.partition: state.position for tp, state in _states(consumer) if state.has_valid_position}
        records = await super()._fetch_records(consumer, active_partitions, **limits)
        serve_last(consumer._fetcher._records, records)  # noqa: SLF001 - the client serves the oldest until it is empty
        standings = {
            tp.partition: Standing(before.get(tp.partition), state.position, state.lso, state.timestamp)
            for tp, state in _states(consumer)
            if state.has_valid_position and state.lso is not None
        }
        return Fetched(records, standings)

    async def committed(self, topic: str, numbers: Collection[int]) -> dict[int, int | None]:
        """Ask the group's committed offsets."""
        return dict(await self.call_thread(self._committed, topic, numbers))

    async def _committed(self, topic: str, numbers: Collection[int]) -> dict[int, int | None]:
        consumer = self._ensure_consumer()
        return {number: await consumer.committed(TopicPartition(topic, number)) for number in numbers}


def serve_last(fetched: OrderedDict[Any, Any], served: Iterable[Any]) -> None:
    """Let partitions whose records have just been taken wait for the others that have any.

    A fetched buffer may hold a hundred thousand records. A worker that is slow asks for more of all partitions each
    time, and would be given the first one's until nothing is left of them, while the others stand still for minutes.
    """
    for tp in served:
        if tp in fetched:
            fetched.move_to_end(tp)


def _states(consumer: Any) -> list[tuple[Any, Any]]:
    """What the client knows of each assigned partition; there is no public way to ask without a round trip."""
    subscription = consumer._subscription.subscription  # noqa: SLF001
    assignment = subscription.assignment if subscription is not None else None
    return [] if assignment is None else [(tp, assignment.state_value(tp)) for tp in assignment.tps]


class BatchConsumer(FaustConsumer):  # type: ignore[misc]
    """Faust's consumer, handing on batches."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._delivered: dict[Any, DeliveredOffsets] = {}
        self._fetching = asyncio.Lock()
        """A fetch that is under way during a seek would move the consumer away from where it was sought to."""
        super().__init__(*args, **kwargs)
        self._delivery = Delivery(self.app.assignment)

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def committed(self, numbers: Collection[int]) -> dict[int, int | None]:
        thread: BatchConsumerThread = self._thread
        return await thread.committed(self.app.input_topic, numbers)

    # -- fetching ------------------------------------------------------------------------------------------------

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[Any, ConsumerMessage]]:  # noqa: ARG002, ASYNC109
        """Fetch from the partitions that want more, and hand on one message per batch that may go on."""
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        delivery = self._delivery
        active = self.app.assignment.active()
        wanted = {TP(self.app.input_topic, one.number) for one in active if one.wants_records()}
        hurry = delivery.waits_for_commit or delivery.ready()
        if wanted:
            everybody = len(wanted) == len(active)
            await self._fetch(wanted, 0.0 if hurry else POLL_S if everybody else HELD_BACK_POLL_S)
        else:
            self.app.vitals.polled()
            if not hurry:
                await asyncio.sleep(HELD_BACK_POLL_S)
        for batch in delivery.release():
            tp = TP(self.app.input_topic, batch.partition)
            yield tp, self._to_message(tp, batch)
        await delivery.make_way()

    async def _fetch(self, wanted: set[Any], wait_s: float) -> None:
        assignment = self.app.assignment
        epoch = assignment.epoch
        try:
            async with self._fetching:
                fetched = await self._getmany(active_partitions=wanted, timeout=wait_s)
            if self.should_stop or not self.flow_active or assignment.epoch != epoch:
                return  # void: the seek that ends the rebalance brings these records again
            self.app.vitals.polled()
            for number, standing in fetched.standings.items():
                if (partition := assignment.get(number)) is not None and partition.active:
                    partition.observe(standing)
            now_ms = int(time.time() * 1000)
            for tp, records in fetched.records.items():
                if records:
                    assignment.get(tp.partition).hold(records, now_ms)
        except self.consumer_stopped_errors:
            raise
        except Exception as error:
            self.app.failure.fail(FailReason.FETCH, error)
            raise

    def _to_message(self, tp: Any, batch: Batch) -> ConsumerMessage:
        last = batch.records[-1]
        self._delivered.setdefault(tp, DeliveredOffsets()).handed_out(last.offset)
        return ConsumerMessage(
            topic=tp.topic,
            partition=tp.partition,
            offset=last.offset,
            timestamp=last.timestamp / 1000,
            timestamp_type=TIMESTAMP_TYPE_CREATE,
            headers=None,
            key=None,
            value=batch,
            checksum=None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )

    # -- offsets, as Faust sees them -------------------------------------------------------------------------------

    async def _add_gap(self, tp: Any, offset_from: int, offset_to: int) -> None:
        """Keep no gaps: a batch is one message however many offsets it spans."""

    def _new_offset(self, tp: Any) -> int | None:
        delivered = self._delivered.get(tp)
        if delivered is None:
            return None
        self._acked[tp].clear()
        return delivered.processed_to(self._acked_index[tp])

    def _should_commit(self, tp: Any, offset: int) -> bool:  # noqa: ARG002
        return True

    async def _commit_offsets(self, offsets: Mapping[Any, int], start_new_transaction: bool = True) -> bool:  # noqa: ARG002, FBT001, FBT002
        """Check that everything Faust holds for processed was applied. The flush commits, not this."""
        for tp, offset in offsets.items():
            partition = self.app.assignment.get(tp.partition)
            if self.app.failure.failed:
                return False
            if partition is not None and partition.active and partition.next < offset:
                error = RuntimeFailure(
                    f"partition {tp.partition}: Faust processed up to {offset}, the stage only to {partition.next}"
                )
                self.app.failure.fail(FailReason.CHAIN, error)
                raise error
        return True

    async def wait_empty(self) -> None:
        """Wait for nothing: a stage applies a batch without awaiting, so none is ever half done.

        Faust's own wait can hang and collects garbage in a loop.
        """

    def verify_event_path(self, now: float, tp: Any) -> None:
        """Leave it to ``watchdog.py``: Faust's version only logs."""

    # -- rebalance -------------------------------------------------------------------------------------------------

    async def on_partitions_revoked(self, revoked: set[Any]) -> None:
        self.stop_flow()
        self.app.flow_control.suspend()
        try:
            await self.app.assignment.suspend()
        except Exception as error:
            self.app.failure.fail(FailReason.ASSIGNMENT, error)
            raise
        self._forget_offsets()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[Any], generation_id: int = 0) -> None:
        try:
            await self.app.assignment.retain([tp.partition for tp in assigned if tp.topic == self.app.input_topic])
        except Exception as error:
            self.app.failure.fail(FailReason.ASSIGNMENT, error)
            raise
        await super().on_partitions_assigned(assigned, generation_id)

    async def perform_seek(self) -> None:
        """Seek each partition to where it stands, and let it run from there."""
        assignment = self.app.assignment
        async with self._fetching:
            self._forget_offsets()
            targets = assignment.restart_delivery()
            epoch = assignment.epoch
            await self.seek_wait({TP(self.app.input_topic, number): offset for number, offset in targets.items()})
            if assignment.epoch == epoch:
                assignment.activate(targets)

    def _forget_offsets(self) -> None:
        self._delivered.clear()
        for known in (self._acked, self._acked_index, self._read_offset, self._committed_offset, self._gap):
            known.clear()


class BatchTransport(FaustTransport):  # type: ignore[misc]
    Consumer = BatchConsumer
