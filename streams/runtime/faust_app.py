"""The Faust app of one stage: its consumer group, its agent, and nothing of Faust's that is not used.

Not used are Faust's producer, tables, web server, data directory, topic creation and transactions: outputs and state go
through ``transaction.py``, and what those parts of Faust promise they do not keep under faults.
"""

import asyncio
from typing import Any, Final

import faust
from aiokafka.structs import OffsetAndMetadata
from faust.app.base import BootStrategy
from faust.tables import TableManager
from yarl import URL

from streams.runtime.assignment import Assignment
from streams.runtime.failure import FailReason, FailStop
from streams.runtime.membership import Membership
from streams.runtime.options import RuntimeOptions
from streams.runtime.partition import Batch
from streams.runtime.transport import BatchTransport
from streams.runtime.vitals import Vitals

STREAM_BUFFER_BATCHES: Final = 64
OFFSET_CHECK_INTERVAL_S: Final = 1.0


class PassThroughSchema(faust.Schema):  # type: ignore[misc]
    """A batch is not decoded: records are the stage's business."""

    def loads_key(self, app: Any, message: Any, **_: Any) -> None:  # noqa: ARG002
        return None

    def loads_value(self, app: Any, message: Any, **_: Any) -> Batch:  # noqa: ARG002
        batch: Batch = message.value
        return batch


class ConsumerOnly(BootStrategy):  # type: ignore[misc]
    enable_kafka_producer = False
    enable_web = False


class NoTables(TableManager):  # type: ignore[misc]
    """Faust resumes the flow from its table recovery, tables or not; without any there is nothing to wait for."""

    async def on_start(self) -> None:
        await self._update_channels()
        await self.recovery.start()


class ConsumerGroup:
    """The app's consumer group, for writers. They are made before the app is."""

    def __init__(self, membership: Membership) -> None:
        self._membership = membership
        self._thread: Any = None
        self._client: Any = None

    def join(self, thread: Any) -> None:
        """Take the thread of the app's consumer, and look at what the group answers there. Called in the thread."""
        self._thread, self._client = thread, thread._ensure_consumer()  # noqa: SLF001 - the seam
        self._membership.watch(self._client._coordinator)  # noqa: SLF001

    async def hold(self) -> None:
        await self._membership.hold()

    async def commit(self, tp: Any, offset: int) -> None:
        await self._thread.call_thread(self._client.commit, {tp: OffsetAndMetadata(offset, "")})

    async def end_of(self, tp: Any) -> int:
        ends = await self._thread.call_thread(self._client.end_offsets, [tp])
        return int(ends[tp])


class StageApp(faust.App):  # type: ignore[misc]
    """A Faust app around the partitions of one stage."""

    BootStrategy = ConsumerOnly

    def __init__(
        self,
        options: RuntimeOptions,
        input_topic: str,
        assignment: Assignment,
        failure: FailStop,
        vitals: Vitals,
        group: ConsumerGroup,
    ) -> None:
        self.options = options
        self._group = group
        self.input_topic = input_topic
        self.assignment = assignment
        self.failure = failure
        self.vitals = vitals
        super().__init__(
            options.group,
            broker=[URL(f"kafka://{server}") for server in options.kafka.bootstrap.split(",")],
            autodiscover=False,
            processing_guarantee="at_least_once",
            broker_commit_interval=OFFSET_CHECK_INTERVAL_S,
            broker_request_timeout=options.kafka.request_timeout_ms / 1000,
            broker_session_timeout=min(options.session_timeout_ms, options.kafka.request_timeout_ms) / 1000,
            broker_heartbeat_interval=options.heartbeat_interval_ms / 1000,
            broker_rebalance_timeout=options.rebalance_timeout_ms / 1000,
            stream_buffer_maxsize=STREAM_BUFFER_BATCHES,
            stream_wait_empty=False,
            stream_recovery_delay=0.0,
            topic_allow_declare=False,
            topic_disable_leader=True,
            web_enabled=False,
            worker_redirect_stdouts=False,
            TableManager=NoTables,
        )
        self.on_rebalance_complete.connect(self._load_assigned, weak=False)
        self._add_agent()

    def _new_transport(self) -> BatchTransport:
        return BatchTransport(self.conf.broker_consumer, self)

    def on_rebalance_start(self) -> None:
        """Watch the group before it is joined. Called in the consumer's thread, first of all."""
        super().on_rebalance_start()
        self._group.join(self.consumer._thread)  # noqa: SLF001 - the seam

    def _create_directories(self) -> None:
        """Create none: this app keeps no files."""

    def _add_agent(self) -> None:
        topic = self.topic(self.input_topic, schema=PassThroughSchema())

        @self.agent(topic, name=f"{self.options.group}-agent")  # type: ignore[untyped-decorator]
        async def apply_batches(batches: Any) -> None:
            await self._apply_all(batches)

    async def _apply_all(self, batches: Any) -> None:
        async for batch in batches:
            self._apply(batch)
            await asyncio.sleep(0)

    def _apply(self, batch: Batch) -> None:
        if self.failure.failed:
            return
        try:
            partition = self.assignment.get(batch.partition)
            if partition is not None:
                partition.take(batch)
        except Exception as error:  # noqa: BLE001 - Faust would ack the batch and go on; here everything ends
            self.failure.fail(FailReason.STAGE, error)

    async def _load_assigned(self, *_: Any, **__: Any) -> None:
        """Make the assigned partitions ready. Faust seeks and resumes afterwards, unless the group moved on."""
        numbers = {tp.partition for tp in self.consumer.assignment() if tp.topic == self.input_topic}
        try:
            await self.assignment.load(numbers & self.assignment.assigned, self.consumer.committed)
        except Exception as error:
            self.failure.fail(FailReason.ASSIGNMENT, error)
            raise
