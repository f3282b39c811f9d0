"""Requests about transactions that the client does not have: what is on the wire.

By the second transaction protocol (KIP-890) a batch that says that it belongs to a transaction is all that a broker
needs to make its partition part of it, and a group's offset likewise; and the end of a transaction answers with the
epoch of the next one. What became of the last transaction of an id, its coordinator tells (KIP-664). See
``producer.py``.
"""

from collections.abc import Mapping
from io import BytesIO
from typing import Any, ClassVar, Final

from aiokafka.protocol.api import Request, RequestStruct, Response, ResponseHeader_v0
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactBytes,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

NO_TAGS: Final[Mapping[int, bytes]] = {}
FINALIZED_FEATURES_TAG: Final = 2
ALL_REPLICAS: Final = -1

Text: Final = CompactString("utf-8")
Tags: Final = ("tags", TaggedFields)
Features: Final = CompactArray(("name", Text), ("max_level", Int16), ("min_level", Int16), Tags)


class ProduceResponse(Response):  # type: ignore[misc]
    API_KEY = 0
    API_VERSION = 12
    SCHEMA = Schema(
        ("topics", CompactArray(
            ("topic", Text),
            ("partitions", CompactArray(
                ("partition", Int32), ("error_code", Int16), ("offset", Int64), ("timestamp", Int64),
                ("log_start_offset", Int64),
                ("record_errors", CompactArray(("batch_index", Int32), ("message", Text), Tags)),
                ("error_message", Text), Tags,
            )),
            Tags,
        )),
        ("throttle_time_ms", Int32), Tags,
    )  # fmt: skip


class ProduceStruct(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 0
    API_VERSION = 12
    RESPONSE_TYPE = ProduceResponse
    SCHEMA = Schema(
        ("transactional_id", Text), ("required_acks", Int16), ("timeout", Int32),
        ("topics", CompactArray(
            ("topic", Text),
            ("partitions", CompactArray(("partition", Int32), ("records", CompactBytes), Tags)),
            Tags,
        )),
        Tags,
    )  # fmt: skip


class OffsetCommitResponse(Response):  # type: ignore[misc]
    API_KEY = 28
    API_VERSION = 5
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("topics", CompactArray(
            ("topic", Text), ("partitions", CompactArray(("partition", Int32), ("error_code", Int16), Tags)), Tags,
        )),
        Tags,
    )  # fmt: skip


class OffsetCommitStruct(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 28
    API_VERSION = 5
    RESPONSE_TYPE = OffsetCommitResponse
    SCHEMA = Schema(
        ("transactional_id", Text), ("group_id", Text), ("producer_id", Int64), ("producer_epoch", Int16),
        ("generation_id", Int32), ("member_id", Text), ("group_instance_id", Text),
        ("topics", CompactArray(
            ("topic", Text),
            ("partitions", CompactArray(
                ("partition", Int32), ("offset", Int64), ("leader_epoch", Int32), ("metadata", Text), Tags,
            )),
            Tags,
        )),
        Tags,
    )  # fmt: skip


class EndResponse(Response):  # type: ignore[misc]
    API_KEY = 26
    API_VERSION = 5
    SCHEMA = Schema(
        ("throttle_time_ms", Int32), ("error_code", Int16), ("producer_id", Int64), ("producer_epoch", Int16), Tags
    )


class EndStruct(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 26
    API_VERSION = 5
    RESPONSE_TYPE = EndResponse
    SCHEMA = Schema(
        ("transactional_id", Text), ("producer_id", Int64), ("producer_epoch", Int16), ("is_commit", Boolean), Tags
    )


class DescribeResponse(Response):  # type: ignore[misc]
    API_KEY = 65
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("transactions", CompactArray(
            ("error_code", Int16), ("transactional_id", Text), ("state", Text), ("timeout_ms", Int32),
            ("started_ms", Int64), ("producer_id", Int64), ("producer_epoch", Int16),
            ("topics", CompactArray(("topic", Text), ("partitions", CompactArray(Int32)), Tags)),
            Tags,
        )),
        Tags,
    )  # fmt: skip


class DescribeStruct(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 65
    API_VERSION = 0
    RESPONSE_TYPE = DescribeResponse
    SCHEMA = Schema(("transactional_ids", CompactArray(Text)), Tags)


class FeaturesResponse(Response):  # type: ignore[misc]
    API_KEY = 18
    API_VERSION = 3
    SCHEMA = Schema(
        ("error_code", Int16),
        ("versions", CompactArray(("api_key", Int16), ("min_version", Int16), ("max_version", Int16), Tags)),
        ("throttle_time_ms", Int32), Tags,
    )  # fmt: skip


class FeaturesStruct(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 18
    API_VERSION = 3
    RESPONSE_TYPE = FeaturesResponse
    SCHEMA = Schema(("software_name", Text), ("software_version", Text), Tags)

    def parse_response_header(self, read_buffer: BytesIO | bytes) -> ResponseHeader_v0:
        """Its header alone is always of the first kind: whoever asks may not know yet what the broker speaks."""
        header: ResponseHeader_v0 = ResponseHeader_v0.decode(read_buffer)
        return header


def _keep(self: Any, *fields: Any) -> None:
    self._fields = fields


def _fill(self: Any, struct: Any) -> Any:
    """Of each request there is one version here."""
    return struct(*self._fields, NO_TAGS)


class ProduceRequest(Request[ProduceStruct]):  # type: ignore[misc]
    API_KEY: ClassVar[int] = ProduceStruct.API_KEY
    required_acks: ClassVar[int] = ALL_REPLICAS
    __init__ = _keep
    build = _fill


class OffsetCommitRequest(Request[OffsetCommitStruct]):  # type: ignore[misc]
    API_KEY: ClassVar[int] = OffsetCommitStruct.API_KEY
    __init__ = _keep
    build = _fill


class EndRequest(Request[EndStruct]):  # type: ignore[misc]
    API_KEY: ClassVar[int] = EndStruct.API_KEY
    __init__ = _keep
    build = _fill


class DescribeRequest(Request[DescribeStruct]):  # type: ignore[misc]
    API_KEY: ClassVar[int] = DescribeStruct.API_KEY
    __init__ = _keep
    build = _fill


class FeaturesRequest(Request[FeaturesStruct]):  # type: ignore[misc]
    API_KEY: ClassVar[int] = FeaturesStruct.API_KEY
    __init__ = _keep
    build = _fill


def finalized_level(response: FeaturesResponse, feature: str) -> int:
    """What level of a feature the cluster has agreed on; 0: none."""
    tagged = response.tags.get(FINALIZED_FEATURES_TAG)
    found = [] if tagged is None else Features.decode(BytesIO(tagged)) or []
    return next((int(level) for name, level, *_ in found if name == feature), 0)
