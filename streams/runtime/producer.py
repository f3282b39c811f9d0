"""The client's producer with batches of our own, and the second transaction protocol where there is one (KIP-890).

Theory of operation. By the first protocol partitions are announced, batches sent, and the end asked for; the group's
offset is announced too. By the second one a broker takes the batch itself for the announcement:

============================  ==================================  ====================================================
step                          first protocol                      second protocol
============================  ==================================  ====================================================
partitions join               AddPartitionsToTxn, Produce         Produce 12
the group's offset joins      AddOffsetsToTxn, TxnOffsetCommit    TxnOffsetCommit 5
end                           EndTxn                              EndTxn 5: its answer has the next number and epoch
a fence shows as              INVALID_PRODUCER_EPOCH              that, or PRODUCER_FENCED
============================  ==================================  ====================================================

It is also the safer one: each transaction has an epoch of its own, so that nothing that was sent late becomes part of
the next one, nor stays open for ever.

Neither survives a coordinator that forgets. One that comes back takes a partition without a leader for a deleted one
(seen with Apache Kafka 4.3.1, where all copies were down): it completes what it had decided and never tells the
partition. What hangs there is ended by the *next* transaction of the same producer, whatever becomes of that one, so
that outputs of a flush could count whose state was lost. Therefore the end of the last transaction is said again to
every place that it may have touched (``end_hanging``) before anything else is written: when a producer starts, by what
the coordinator says of the transaction before; and when the connection to the coordinator is not the one over which the
last transaction began, for then it may have come back meanwhile (``may_hang``). Saying it again is a transaction
without records, by the first protocol: places are announced, then it ends. Where nothing hangs nothing happens.

Which protocol it is, the cluster says when the producer starts: the level that it has agreed on of the feature
``transaction.version``, which is raised only when all brokers can. Batches, numbers, retries and errors are the
client's own; overridden is which requests are made, and what is known after an answer. Pinned to aiokafka 0.14.0.
"""

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.client import ConnectionGroup, CoordinationType
from aiokafka.codec import snappy_encode
from aiokafka.errors import (
    ConcurrentTransactions,
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    GroupAuthorizationFailedError,
    IncompatibleBrokerVersion,
    InvalidProducerEpoch,
    KafkaError,
    NotCoordinatorError,
)
from aiokafka.producer.sender import EndTxnHandler, Sender, SendProduceReqHandler, TxnOffsetCommitHandler
from aiokafka.producer.transaction_manager import PidAndEpoch, TransactionManager, TransactionResult
from aiokafka.structs import TopicPartition

from streams.runtime.record_batch import RecordBatch
from streams.runtime.transaction_requests import (
    ALL_REPLICAS,
    NO_TAGS,
    DescribeRequest,
    EndRequest,
    EndStruct,
    FeaturesRequest,
    OffsetCommitRequest,
    OffsetCommitStruct,
    ProduceRequest,
    ProduceStruct,
    finalized_level,
)

FEATURE: Final = "transaction.version"
FEATURE_LEVEL: Final = 2
NEEDED: Final = {one.API_KEY: one.API_VERSION for one in (ProduceStruct, OffsetCommitStruct, EndStruct)}
SOFTWARE: Final = ("pegel", "1")
PRODUCER_FENCED: Final = 90
POLL_S: Final = 0.005
COMMIT: Final = TransactionResult.COMMIT
ABORT: Final = TransactionResult.ABORT
NO_MEMBER: Final = (-1, "", None)
NO_LEADER_EPOCH: Final = -1
AS_PRODUCE_8: Final = 8
ASKED_AGAIN: Final = {
    one.errno for one in (CoordinatorLoadInProgressError, CoordinatorNotAvailableError, NotCoordinatorError)
}
UNFINISHED: Final = frozenset({"PrepareCommit", "PrepareAbort"})
COMMITTED: Final = frozenset({"PrepareCommit", "CompleteCommit"})
EMPTY: Final = "Empty"
"""By what the coordinator calls the state of an id. Any other is an abort: an ongoing one ends by the fence, and an
empty one was left by a process that ended between its fence and its first transaction."""


def _known(error_code: int) -> int:
    """The code by which the client knows a fence."""
    return InvalidProducerEpoch.errno if error_code == PRODUCER_FENCED else error_code


class Transactions(TransactionManager):  # type: ignore[misc]
    """What is known of the transaction. With ``implicit`` nothing is announced."""

    implicit = False
    group_to_end: str | None = None
    """Announced without an offset: what hangs of it is ended."""
    last: TransactionResult | None = None
    """How the last transaction ended, be it ours or an earlier process's; None: there was none."""

    def maybe_add_partition_to_txn(self, tp: TopicPartition) -> None:
        super().maybe_add_partition_to_txn(tp)
        if self.implicit:
            self._txn_partitions |= self._pending_txn_partitions
            self._pending_txn_partitions.clear()

    def consumer_group_to_add(self) -> str | None:
        group = self.group_to_end
        if group is not None:
            return None if self._txn_consumer_group == group else group
        return None if self.implicit else super().consumer_group_to_add()

    def offsets_to_commit(self) -> tuple[Any, str] | None:
        if not self.implicit:
            found: tuple[Any, str] | None = super().offsets_to_commit()
            return found
        return next(((offsets, group) for group, offsets, _ in self._pending_txn_offsets), None)

    def offset_committed(self, tp: TopicPartition, offset: int, group_id: str) -> None:
        super().offset_committed(tp, offset, group_id)
        self._txn_consumer_group = group_id

    def go_on_as(self, producer_id: int, epoch: int) -> None:
        """The next transaction has these, and numbers its batches from 0."""
        self._pid_and_epoch = PidAndEpoch(producer_id, epoch)
        self._sequence_numbers.clear()


class _Produce(SendProduceReqHandler):  # type: ignore[misc]
    def create_request(self) -> Any:
        by_topic: dict[str, list[tuple[int, Any, Any]]] = {}
        for tp, batch in self._batches.items():
            by_topic.setdefault(tp.topic, []).append((tp.partition, batch.get_data_buffer(), NO_TAGS))
        sender, topics = self._sender, [(topic, partitions, NO_TAGS) for topic, partitions in by_topic.items()]
        transactional_id = sender._txn_manager.transactional_id  # noqa: SLF001 - the seam
        return ProduceRequest(transactional_id, ALL_REPLICAS, sender._request_timeout_ms, topics)  # noqa: SLF001

    def handle_response(self, response: Any) -> None:
        topics: list[tuple[str, list[Any]]] = []
        for topic, partitions, _ in response.topics:
            answered = []
            for number, code, *rest, _ in partitions:
                if code == ConcurrentTransactions.errno:
                    # The end of the transaction before is still on its way: no fault, so nothing is logged.
                    self._to_reenqueue.append(self._batches[TopicPartition(topic, number)])
                else:
                    answered.append((number, _known(code), *rest))
            topics.append((topic, answered))
        super().handle_response(SimpleNamespace(API_VERSION=AS_PRODUCE_8, topics=topics))


class _CommitOffset(TxnOffsetCommitHandler):  # type: ignore[misc]
    def create_request(self) -> Any:
        known = self._sender._txn_manager  # noqa: SLF001 - the seam
        topics = [
            (tp.topic, [(tp.partition, one.offset, NO_LEADER_EPOCH, one.metadata, NO_TAGS)], NO_TAGS)
            for tp, one in self._offsets.items()
        ]
        return OffsetCommitRequest(
            known.transactional_id, self._group_id, known.producer_id, known.producer_epoch, *NO_MEMBER, topics
        )

    def handle_response(self, response: Any) -> float | None:
        errors = [
            (topic, [(number, _known(code)) for number, code, _ in partitions])
            for topic, partitions, _ in response.topics
        ]
        backoff_s: float | None = super().handle_response(SimpleNamespace(errors=errors))
        return backoff_s


class _End(EndTxnHandler):  # type: ignore[misc]
    def create_request(self) -> Any:
        known = self._sender._txn_manager  # noqa: SLF001 - the seam
        is_commit = self._commit_result is COMMIT
        return EndRequest(known.transactional_id, known.producer_id, known.producer_epoch, is_commit)

    def handle_response(self, response: Any) -> float | None:
        if response.error_code == 0:
            self._sender._txn_manager.go_on_as(response.producer_id, response.producer_epoch)  # noqa: SLF001
        answer = SimpleNamespace(error_code=_known(response.error_code))
        backoff_s: float | None = super().handle_response(answer)
        return backoff_s


class _Sender(Sender):  # type: ignore[misc]
    """Sends by the protocol that the cluster has agreed on."""

    async def start(self) -> None:
        self._txn_manager.implicit = await self._ask_for_protocol()
        await super().start()

    async def _do_init_pid(self, node_id: int) -> bool:
        """Fence. What became of the last transaction is asked before each attempt: the first one ends what is open."""
        known, state = self._txn_manager, await self.ask_for_state()
        if state != EMPTY or known.last is None:  # an attempt whose answer was lost has left it empty
            known.last = None if state is None else COMMIT if state in COMMITTED else ABORT
        is_done: bool = await super()._do_init_pid(node_id)
        return is_done

    def coordination(self) -> object | None:
        """The connection to the transaction coordinator, as long as it lives."""
        node_id = self._coordinators.get(CoordinationType.TRANSACTION)
        found = self.client._conns.get((node_id, ConnectionGroup.COORDINATION))  # noqa: SLF001 - the seam
        return found if found is not None and found.connected() else None

    async def ask_for_state(self) -> str | None:
        """Ask the coordinator for the state of our id; None if it knows no such id, or nobody can be asked."""
        transactional_id = self._txn_manager.transactional_id
        while True:
            node_id = await self._find_coordinator(CoordinationType.TRANSACTION, transactional_id)
            request = DescribeRequest([transactional_id])
            try:
                answer = await self.client.send(node_id, request, group=ConnectionGroup.COORDINATION)
                code, _, state, *_ = answer.transactions[0]
            except (NotImplementedError, IncompatibleBrokerVersion):  # before Kafka 3.0
                return None
            except KafkaError:  # as with the client's own requests: the coordinator is looked up again, and asked
                code, state = NotCoordinatorError.errno, ""
            if code not in ASKED_AGAIN:
                return None if code else str(state)
            if code != CoordinatorLoadInProgressError.errno:
                self._coordinator_dead(CoordinationType.TRANSACTION)
            await asyncio.sleep(self._retry_backoff)

    async def _ask_for_protocol(self) -> bool:
        client = self.client
        try:
            answer = await client.send(client.get_random_node(), FeaturesRequest(*SOFTWARE))
        except NotImplementedError:  # an older broker, and the client says so before it asks
            return False
        newest = {key: newest for key, _, newest, _ in answer.versions}
        can = all(newest.get(key, -1) >= version for key, version in NEEDED.items())
        return can and finalized_level(answer, FEATURE) >= FEATURE_LEVEL

    async def all_have_heard(self) -> None:
        """Wait until all places of the last transaction know how it ended."""
        while True:
            if await self.ask_for_state() not in UNFINISHED:
                return
            await asyncio.sleep(POLL_S)

    async def _send_produce_req(self, node_id: int, batches: Any) -> None:
        if not self._txn_manager.implicit:
            await super()._send_produce_req(node_id, batches)
            return
        await _Produce(self, batches).do(node_id)
        self._in_flight.remove(node_id)
        self._muted_partitions.difference_update(batches)

    async def _do_txn_offset_commit(self, offsets: Any, group_id: str) -> None:
        if not self._txn_manager.implicit:
            await super()._do_txn_offset_commit(offsets, group_id)
            return
        try:
            node_id = await self._find_coordinator(CoordinationType.GROUP, group_id)
        except GroupAuthorizationFailedError as error:
            self._txn_manager.error_transaction(error)
            return
        await _CommitOffset(self, offsets, group_id).do(node_id)

    async def _do_txn_commit(self, commit_result: TransactionResult) -> None:
        known = self._txn_manager
        if not known.implicit or known.is_empty_transaction():
            await super()._do_txn_commit(commit_result)
            return
        await self._message_accumulator.flush_for_commit()
        node_id = await self._find_coordinator(CoordinationType.TRANSACTION, known.transactional_id)
        await _End(self, commit_result).do(node_id)


class PackingProducer(AIOKafkaProducer):  # type: ignore[misc]
    """The client's producer, with batches that take less time to fill (``record_batch.py``)."""

    def create_batch(self) -> RecordBatch:
        accumulator, known = self._message_accumulator, self._txn_manager
        is_transactional = known is not None and known.transactional_id is not None
        return RecordBatch(accumulator._batch_size, snappy_encode, is_transactional=is_transactional)  # noqa: SLF001


class TransactionalProducer(PackingProducer):
    """The same, with transactions."""

    _sender: Any

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        stock, known = self._sender, Transactions(arguments["transactional_id"], arguments["transaction_timeout_ms"])
        self._txn_manager = self._message_accumulator._txn_manager = known  # noqa: SLF001 - the seam
        self._sender = _Sender(
            self.client,
            acks=stock._acks,  # noqa: SLF001
            txn_manager=known,
            retry_backoff_ms=arguments["retry_backoff_ms"],
            message_accumulator=self._message_accumulator,
            request_timeout_ms=self._request_timeout_ms,
        )
        self._coordination: object | None = None
        """The connection over which the last transaction began."""
        self._is_over = False
        """Every place has heard of the end of the last transaction: nothing hangs, whatever happens."""

    async def begin_transaction(self) -> None:
        self._coordination, self._is_over = self._sender.coordination(), False
        await super().begin_transaction()

    @property
    def may_hang(self) -> bool:
        """Whether the coordinator may have come back, and have forgotten, since the last transaction began."""
        if self._is_over:
            return False
        return self._coordination is None or self._sender.coordination() is not self._coordination

    async def end_hanging(self, places: Iterable[TopicPartition], group: str) -> None:
        """Say again how the last transaction ended, to all places and the group's offsets, until they have heard it."""
        known = self._txn_manager
        result, known.last = known.last, COMMIT  # a process whose commit has failed begins no other transaction
        if result is not None:
            await self._say_again(result, tuple(places), group)
        self._is_over = True

    async def _say_again(self, result: TransactionResult, places: Iterable[TopicPartition], group: str) -> None:
        known, implicit = self._txn_manager, self._txn_manager.implicit
        known.implicit, known.group_to_end = False, group
        try:
            while self.may_hang:
                await self._sender.ask_for_state()  # so that there is a connection
                await self.begin_transaction()
                for place in places:
                    known.maybe_add_partition_to_txn(place)
                await (self.commit_transaction() if result is COMMIT else self.abort_transaction())
                await self._sender.all_have_heard()
        finally:
            known.implicit, known.group_to_end = implicit, None
