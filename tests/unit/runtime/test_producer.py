"""The second transaction protocol: which one is spoken, what is on the wire, and what is known after an answer."""

from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    ConcurrentTransactions,
    InvalidProducerEpoch,
    MessageSizeTooLargeError,
    NodeNotReadyError,
    ProducerFenced,
)
from aiokafka.producer.transaction_manager import TransactionResult
from aiokafka.structs import OffsetAndMetadata

from streams.runtime.producer import (
    ABORT,
    COMMIT,
    NEEDED,
    PRODUCER_FENCED,
    Transactions,
    _CommitOffset,
    _End,
    _Produce,
    _Sender,
)
from streams.runtime.transaction_requests import (
    DescribeResponse,
    DescribeStruct,
    EndResponse,
    EndStruct,
    Features,
    FeaturesResponse,
    FeaturesStruct,
    OffsetCommitResponse,
    ProduceResponse,
    finalized_level,
)

TP = TopicPartition("out", 3)


def _plain(*fields: Any) -> tuple[Any, ...]:
    return fields


def features(level: int | None, **newest: int) -> FeaturesResponse:
    """What a broker answers; `newest`: of API 0, 26 or 28, as `api_0=11`."""
    known = {**NEEDED, **{int(name.removeprefix("api_")): version for name, version in newest.items()}}
    levels: list[tuple[Any, ...]] = [("metadata.version", 27, 27, {})]
    if level is not None:
        levels.append(("transaction.version", level, level, {}))
    tags = {2: Features.encode(levels)}
    answer: FeaturesResponse = FeaturesResponse(0, [(key, 0, newest, {}) for key, newest in known.items()], 0, tags)
    return answer


class Client:
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def get_random_node(self) -> int:
        return 1

    async def send(self, _node: int, _request: Any) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(features(2), True, id="agreed on"),
        pytest.param(features(1), False, id="brokers could, but the cluster has not agreed"),
        pytest.param(features(None), False, id="no such feature"),
        pytest.param(features(2, api_0=11), False, id="this broker cannot"),
        pytest.param(NotImplementedError(), False, id="too old to be asked"),
    ],
)
async def test_the_second_protocol_is_spoken_where_the_cluster_has_agreed_on_it(answer: Any, expected: bool) -> None:  # noqa: FBT001
    sender = object.__new__(_Sender)
    sender.client = Client(answer)
    assert await sender._ask_for_protocol() is expected


class Coordinator:
    """Gives one answer after the other, to whoever finds it."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.lookups = 0
        self._conns: dict[Any, Any] = {}
        self._client_id = "engagement-0"

    async def coordinator_lookup(self, _kind: Any, _key: str) -> int:
        self.lookups += 1
        return 1

    async def ready(self, _node: int, *, group: Any) -> bool:
        return True

    async def send(self, _node: int, _request: Any, *, group: Any = None) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def state(name: str, code: int = 0) -> Any:
    return DescribeResponse(0, [(code, "engagement.0", name, 0, 0, 7, 2, [], {})], {})


def fence(code: int = 0) -> Any:
    return SimpleNamespace(error_code=code, producer_id=7, producer_epoch=3)


def asking(*answers: Any) -> tuple[_Sender, Coordinator]:
    made, coordinator = object.__new__(_Sender), Coordinator(*answers)
    made.client, made._coordinators, made._retry_backoff = coordinator, {}, 0.0
    made._txn_manager = Transactions("engagement.0", 30_000)
    return made, coordinator


@pytest.mark.parametrize(
    ("answers", "last"),
    [
        pytest.param([state("CompleteCommit"), fence()], COMMIT, id="committed"),
        pytest.param([state("PrepareCommit"), fence(51), state("CompleteCommit"), fence()], COMMIT, id="committing"),
        pytest.param([state("CompleteAbort"), fence()], ABORT, id="aborted"),
        pytest.param([state("Ongoing"), fence(51), state("CompleteAbort"), fence()], ABORT, id="ended by the fence"),
        pytest.param([state("Ongoing"), fence(51), state("CompleteCommit"), fence()], COMMIT, id="it came first"),
        pytest.param([state("CompleteCommit"), fence(16), state("Empty"), fence()], COMMIT, id="an answer was lost"),
        pytest.param([state("Empty"), fence()], ABORT, id="a process that came no further"),
        pytest.param([state("", 105), fence()], None, id="no such id"),
        pytest.param([NotImplementedError(), fence()], None, id="an old broker"),
    ],
)
async def test_how_the_last_transaction_ended_is_asked_before_each_attempt_to_fence(
    answers: list[Any], last: TransactionResult | None
) -> None:
    made, coordinator = asking(*answers)
    while not await made._do_init_pid(1):
        pass
    assert made._txn_manager.last is last
    assert not coordinator.answers


@pytest.mark.parametrize(("first", "lookups"), [(state("", 14), 1), (state("", 16), 2), (NodeNotReadyError(), 2)])
async def test_a_coordinator_that_cannot_tell_yet_is_asked_again(first: Any, lookups: int) -> None:
    made, coordinator = asking(first, state("CompleteCommit"))
    assert await made.ask_for_state() == "CompleteCommit"
    assert coordinator.lookups == lookups


def test_the_question_how_it_ended_is_on_the_wire_as_brokers_read_it() -> None:
    assert DescribeStruct(["engagement.0"], {}).encode() == b"\x02\x0dengagement.0\x00"
    written = state("CompleteCommit").encode()
    assert DescribeResponse.decode(BytesIO(written)).transactions[0][2] == "CompleteCommit"


def test_what_a_cluster_has_agreed_on_is_read_from_a_tag() -> None:
    answer = features(2)
    tagged = Features.encode([("transaction.version", 2, 2, {})])
    answer.tags = {2: bytes([len(tagged)]) + tagged}  # the client's own encoding of tags leaves their length out
    read = FeaturesResponse.decode(BytesIO(answer.encode()))
    assert finalized_level(read, "transaction.version") == 2
    assert finalized_level(read, "share.version") == 0
    assert finalized_level(FeaturesResponse(0, [], 0, {}), "transaction.version") == 0


def test_the_answer_about_features_has_the_first_kind_of_header() -> None:
    header = FeaturesStruct("pegel", "1", {}).parse_response_header(BytesIO(b"\x00\x00\x00\x07\x00\x00"))
    assert header.correlation_id == 7


def test_the_end_of_a_transaction_is_on_the_wire_as_brokers_read_it() -> None:
    is_commit = True
    request = EndStruct("engagement.0", 7, 2, is_commit, {})
    assert request.encode() == b"\x0dengagement.0" + b"\x00" * 7 + b"\x07" + b"\x00\x02" + b"\x01" + b"\x00"


def transactions() -> Transactions:
    known = Transactions("engagement.0", 30_000)
    known.implicit = True
    known.set_pid_and_epoch(7, 2)
    known.begin_transaction()
    return known


def sender(known: Transactions) -> Any:
    return SimpleNamespace(_txn_manager=known, _retry_backoff=0.02, _request_timeout_ms=1_000)


async def test_nothing_is_announced() -> None:
    known = transactions()
    known.maybe_add_partition_to_txn(TP)
    known.add_offsets_to_txn({TP: OffsetAndMetadata(5, "")}, "group")
    assert not known.partitions_to_add()
    assert known.consumer_group_to_add() is None
    assert known.offsets_to_commit() == ({TP: OffsetAndMetadata(5, "")}, "group")
    assert not known.is_empty_transaction()


async def test_an_offset_alone_makes_a_transaction() -> None:
    known = transactions()
    told = known.add_offsets_to_txn({TP: OffsetAndMetadata(5, "")}, "group")
    handler = _CommitOffset(sender(known), {TP: OffsetAndMetadata(5, "")}, "group")
    assert handler.create_request().build(_plain)[:4] == ("engagement.0", "group", 7, 2)
    assert handler.handle_response(OffsetCommitResponse(0, [("out", [(3, 0, {})], {})], {})) is None
    assert told.done()
    assert not known.is_empty_transaction()


async def test_after_its_end_the_next_transaction_has_an_epoch_of_its_own_and_numbers_from_0() -> None:
    known = transactions()
    known.maybe_add_partition_to_txn(TP)
    known.increment_sequence_number(TP, 40)
    known.committing_transaction()
    handler = _End(sender(known), TransactionResult.COMMIT)
    assert handler.create_request().build(_plain) == ("engagement.0", 7, 2, True, {})
    assert handler.handle_response(EndResponse(0, 0, 7, 3, {})) is None
    assert (known.producer_id, known.producer_epoch, known.sequence_number(TP)) == (7, 3, 0)
    assert known.wait_for_transaction_end().done()
    assert known.is_empty_transaction()


async def test_an_end_that_is_not_yet_possible_is_asked_for_again_with_the_same_epoch() -> None:
    known = transactions()
    known.committing_transaction()
    handler = _End(sender(known), TransactionResult.COMMIT)
    assert handler.handle_response(EndResponse(0, ConcurrentTransactions.errno, -1, -1, {})) == 0.02
    assert known.producer_epoch == 2
    assert not known.wait_for_transaction_end().done()


@pytest.mark.parametrize("code", [InvalidProducerEpoch.errno, PRODUCER_FENCED])
async def test_a_fence_is_known_by_either_name(code: int) -> None:
    known = transactions()
    with pytest.raises(ProducerFenced):
        _End(sender(known), TransactionResult.COMMIT).handle_response(EndResponse(0, code, -1, -1, {}))
    commit = _CommitOffset(sender(known), {TP: OffsetAndMetadata(5, "")}, "group")
    with pytest.raises(ProducerFenced):
        commit.handle_response(OffsetCommitResponse(0, [("out", [(3, code, {})], {})], {}))
    batch = Batch()
    answered(batch, code)
    assert isinstance(batch.error, ProducerFenced)


class Batch:
    """A batch, and what became of it."""

    def __init__(self) -> None:
        self.offset = -1
        self.error: BaseException | None = None

    def get_data_buffer(self) -> bytes:
        return b"records"

    def done(self, offset: int, *_: Any) -> None:
        self.offset = offset

    def failure(self, *, exception: BaseException) -> None:
        self.error = exception


def answered(batch: Batch, code: int) -> _Produce:
    handler = _Produce(SimpleNamespace(**vars(sender(transactions())), client=None), {TP: batch})
    partition: tuple[Any, ...] = (3, code, 90, -1, 0, [], None, {})
    handler.handle_response(ProduceResponse([("out", [partition], {})], 0, {}))
    return handler


async def test_a_batch_is_sent_and_answered() -> None:
    batch = Batch()
    handler = answered(batch, 0)
    transactional_id, acks, _, topics, _ = handler.create_request().build(_plain)
    assert (transactional_id, acks, topics) == ("engagement.0", -1, [("out", [(3, b"records", {})], {})])
    assert batch.offset == 90


async def test_a_batch_that_meets_the_end_of_the_transaction_before_is_sent_again() -> None:
    batch = Batch()
    assert answered(batch, ConcurrentTransactions.errno)._to_reenqueue == [batch]
    assert batch.error is None


async def test_a_batch_that_is_refused_fails() -> None:
    batch = Batch()
    assert not answered(batch, MessageSizeTooLargeError.errno)._to_reenqueue
    assert isinstance(batch.error, MessageSizeTooLargeError)
