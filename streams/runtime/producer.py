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

Which one it is, the cluster says when the producer starts: the level that it has agreed on of the feature
``transaction.version``, which is raised only when all brokers can. Batches, numbers, retries and errors are the
client's own; overridden is which requests are made, and what is known after an answer. Pinned to aiokafka 0.14.0.
"""

from types import SimpleNamespace
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.client import CoordinationType
from aiokafka.codec import snappy_encode
from aiokafka.errors import ConcurrentTransactions, GroupAuthorizationFailedError, InvalidProducerEpoch
from aiokafka.producer.sender import EndTxnHandler, Sender, SendProduceReqHandler, TxnOffsetCommitHandler
from aiokafka.producer.transaction_manager import PidAndEpoch, TransactionManager, TransactionResult
from aiokafka.structs import TopicPartition

from streams.runtime.implicit_requests import (
    ALL_REPLICAS,
    NO_TAGS,
    EndRequest,
    EndStruct,
    FeaturesRequest,
    OffsetCommitRequest,
    OffsetCommitStruct,
    ProduceRequest,
    ProduceStruct,
    finalized_level,
)
from streams.runtime.record_batch import RecordBatch

FEATURE: Final = "transaction.version"
FEATURE_LEVEL: Final = 2
NEEDED: Final = {one.API_KEY: one.API_VERSION for one in (ProduceStruct, OffsetCommitStruct, EndStruct)}
SOFTWARE: Final = ("pegel", "1")
PRODUCER_FENCED: Final = 90
NO_MEMBER: Final = (-1, "", None)
NO_LEADER_EPOCH: Final = -1
AS_PRODUCE_8: Final = 8


def _known(error_code: int) -> int:
    """The code by which the client knows a fence."""
    return InvalidProducerEpoch.errno if error_code == PRODUCER_FENCED else error_code


class Transactions(TransactionManager):  # type: ignore[misc]
    """What is known of the transaction. With ``implicit`` nothing is announced."""

    implicit = False

    def maybe_add_partition_to_txn(self, tp: TopicPartition) -> None:
        super().maybe_add_partition_to_txn(tp)
        if self.implicit:
            self._txn_partitions |= self._pending_txn_partitions
            self._pending_txn_partitions.clear()

    def consumer_group_to_add(self) -> str | None:
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
        is_commit = self._commit_result is TransactionResult.COMMIT
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

    async def _ask_for_protocol(self) -> bool:
        client = self.client
        try:
            answer = await client.send(client.get_random_node(), FeaturesRequest(*SOFTWARE))
        except NotImplementedError:  # an older broker, and the client says so before it asks
            return False
        newest = {key: newest for key, _, newest, _ in answer.versions}
        can = all(newest.get(key, -1) >= version for key, version in NEEDED.items())
        return can and finalized_level(answer, FEATURE) >= FEATURE_LEVEL

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
