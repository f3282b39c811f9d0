"""Knocking at the brokers before anybody goes to work: are we let in, and may we do what we must?

The clients that do the work answer neither well: aiokafka logs why it was turned away and raises that it was,
librdkafka tries again until its time is up, and a topic that may not be seen looks like one that does not exist. So a
single connection of aiokafka's asks first. A refusal is final (`KafkaRefusedError`): nothing gets better by trying.

Permissions come with the topics' metadata (version 8, Kafka 2.3): per topic a bit for each operation that is allowed.
Of groups and transactional ids only the right to see them is asked, which all other rights imply.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

from streams.errors import KafkaRefusedError, KafkaUnreachableError
from streams.runtime.options import KafkaAccess
from streams.security.permissions import OPERATION_CODES, Permission, Resource
from streams.security.refusals import refusal_of

CLIENT_ID: Final = "pegel-admission"
ADVERTISED_TRIED_MAX: Final = 3
GROUP_COORDINATOR: Final = 0
TRANSACTION_COORDINATOR: Final = 1
UNKNOWN_TOPIC: Final = 3
TOPIC_DENIED: Final = 29
COORDINATION_DENIED: Final = frozenset({30, 53})
OPERATIONS_UNKNOWN: Final = -(1 << 31)
"""What a broker says that does not tell: then nothing is held to be denied."""


class _MetadataResponse(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            Array(("node_id", Int32), ("host", String("utf-8")), ("port", Int32), ("rack", String("utf-8"))),
        ),
        ("cluster_id", String("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String("utf-8")),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("cluster_authorized_operations", Int32),
    )


class _MetadataRequestStruct(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class _MetadataRequest(Request[_MetadataRequestStruct]):  # type: ignore[misc]
    """Topics by name, made by nobody's asking, and what we may do with each."""

    API_KEY: ClassVar[int] = 3

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_MetadataRequestStruct]) -> _MetadataRequestStruct:
        return request_struct_class(self._topics, False, False, True)  # noqa: FBT003 - fields of the wire


@dataclass(frozen=True, slots=True)
class Sight:
    """What we see of the cluster: the topics that are there with their partitions, and what is denied to us."""

    partitions: Mapping[str, int]
    denied: tuple[Permission, ...]


class _NotLetIn(Exception):  # noqa: N818 - becomes one of the errors of `look`
    """One address, why it does not let us in, and whether that stays."""

    def __init__(self, text: str, *, final: bool) -> None:
        super().__init__(text)
        self.final = final


async def look(access: KafkaAccess, topics: Iterable[str], needed: Iterable[Permission]) -> Sight:
    """Ask the first broker that lets us in for topics and permissions.

    Raises:
        KafkaRefusedError: no address lets us in, for a reason that stays.
        KafkaUnreachableError: none answers, or not in time.
    """
    needed = tuple(needed)
    names = sorted({*topics, *(one.name for one in needed if one.resource is Resource.TOPIC)})
    failures: list[_NotLetIn] = []
    for address in access.bootstrap.split(","):
        try:
            async with _entered(address, access) as connection:
                answer = await connection.send(_MetadataRequest(names))
                denied = [one for one in needed if await _coordination_denied(connection, one)]
            await _try_advertised(answer.brokers, access)
        except _NotLetIn as failure:
            failures.append(failure)
        else:
            return _sight(answer.topics, needed, denied)
    listed = "; ".join(str(one) for one in failures)
    if any(one.final for one in failures):
        raise KafkaRefusedError(f"Kafka does not let us in at {listed}")
    raise KafkaUnreachableError(f"Kafka does not answer at {listed}")


@asynccontextmanager
async def _entered(address: str, access: KafkaAccess) -> AsyncIterator[Any]:
    """A connection that is logged in; what goes wrong on it is told by `_NotLetIn`."""
    host, _, port = address.rpartition(":")
    protocol = access.client["security_protocol"]
    try:
        connection = await create_conn(
            host, int(port), client_id=CLIENT_ID, request_timeout_ms=access.request_timeout_ms, **access.client
        )
        try:
            yield connection
        finally:
            if (closing := connection.close()) is not None:
                await closing
    except (KafkaError, OSError, asyncio.TimeoutError) as error:  # noqa: UP041 - aiokafka may raise either
        refusal = refusal_of(error, protocol, shows_certificate=access.shows_certificate)
        if refusal is None:
            raise _NotLetIn(f"{address}: {_words(error)}", final=False) from None
        kind, reason = refusal
        raise _NotLetIn(f"{address}: {reason}; {kind.value}", final=kind.final) from None


async def _try_advertised(brokers: Iterable[Sequence[Any]], access: KafkaAccess) -> None:
    """Work goes to the addresses that brokers tell, not to those that were configured: certificates must fit both.

    A few will do: they are made by one hand. One that is away for the moment is no matter.
    """
    if "ssl_context" not in access.client:
        return
    configured = access.bootstrap.split(",")
    told = [f"{host}:{port}" for _, host, port, *_ in brokers]
    for address in [one for one in told if one not in configured][:ADVERTISED_TRIED_MAX]:
        try:
            async with _entered(address, access):
                pass
        except _NotLetIn as failure:
            if failure.final:
                raise _NotLetIn(f"{failure} (the brokers tell clients this address)", final=True) from None


def _sight(topics: Sequence[Any], needed: tuple[Permission, ...], denied: list[Permission]) -> Sight:
    errors = {name: error for error, name, *_ in topics}
    operations = {one[1]: 0 if one[0] == TOPIC_DENIED else one[4] for one in topics}
    there = {one[1]: len(one[3]) for one in topics if one[0] not in (UNKNOWN_TOPIC, TOPIC_DENIED)}
    denied += [
        one
        for one in needed
        if one.resource is Resource.TOPIC and errors.get(one.name) != UNKNOWN_TOPIC and not _allows(operations, one)
    ]
    return Sight(there, tuple(sorted(denied)))


def require_admission(access: KafkaAccess) -> None:
    """For commands, which have no event loop: return if a broker lets us in, else raise as `look` does."""
    asyncio.run(look(access, (), ()))


def _allows(operations: Mapping[str, int], permission: Permission) -> bool:
    told = operations.get(permission.name, OPERATIONS_UNKNOWN)
    return told == OPERATIONS_UNKNOWN or bool(told & (1 << OPERATION_CODES[permission.operation]))


async def _coordination_denied(connection: Any, permission: Permission) -> bool:
    match permission.resource:
        case Resource.GROUP:
            kind = GROUP_COORDINATOR
        case Resource.TRANSACTIONAL_ID:
            kind = TRANSACTION_COORDINATOR
        case _:
            return False
    # Where a family of names is allowed, any one of it will do.
    name = permission.name + "0" if permission.prefixed else permission.name
    answer = await connection.send(FindCoordinatorRequest(name, kind))
    return answer.error_code in COORDINATION_DENIED


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    said = getattr(error, "strerror", None) or (error.args[0] if error.args else "")
    return " ".join(str(said).split()) or type(error).__name__
