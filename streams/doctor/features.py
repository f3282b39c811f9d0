"""The finalized features of a cluster: what all of its brokers have agreed to use.

No client library shows them, so ApiVersions is asked in its version 3, where they come as tagged fields. aiokafka's
client does the connecting and logging in. Brokers that are too old for the question have no features.
"""

import asyncio
from io import BytesIO
from typing import Any, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.api import Request, RequestStruct, Response, ResponseHeader_v0
from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Schema, TaggedFields

from streams.runtime.options import KafkaAccess

FINALIZED_TAG: Final = 2
_FINALIZED: Final = CompactArray(
    ("name", CompactString("utf-8")), ("max_level", Int16), ("min_level", Int16), ("tags", TaggedFields)
)


class _Response(Response):  # type: ignore[misc]
    API_KEY = 18
    API_VERSION = 3
    SCHEMA = Schema(
        ("error_code", Int16),
        (
            "api_keys",
            CompactArray(("api_key", Int16), ("min_version", Int16), ("max_version", Int16), ("tags", TaggedFields)),
        ),
        ("throttle_time_ms", Int32),
        ("tags", TaggedFields),
    )


class _Ask(RequestStruct):  # type: ignore[misc]
    API_KEY = 18
    API_VERSION = 3
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _Response
    SCHEMA = Schema(
        ("client_software_name", CompactString("utf-8")),
        ("client_software_version", CompactString("utf-8")),
        ("tags", TaggedFields),
    )

    def parse_response_header(self, read_buffer: Any) -> Any:
        """Answers to this question alone keep the old header, so that a client of any age can read them."""
        return ResponseHeader_v0.decode(read_buffer)


class _AskFeatures(Request[_Ask]):  # type: ignore[misc]
    API_KEY = 18

    def build(self, request_struct_class: Any) -> Any:
        return request_struct_class("pegel", "doctor", {})


def finalized_features(access: KafkaAccess) -> dict[str, int] | None:
    """Feature name -> level; None where the brokers do not answer the question."""
    return asyncio.run(_ask(access))


async def _ask(access: KafkaAccess) -> dict[str, int] | None:
    client = AIOKafkaClient(**access.arguments(), client_id="pegel-doctor")
    try:
        await client.bootstrap()
        answer = await client.send(client.get_random_node(), _AskFeatures())
    except (KafkaError, NotImplementedError, OSError):
        return None
    finally:
        await client.close()
    return decode_finalized(answer.tags.get(FINALIZED_TAG, b""))


def decode_finalized(raw: bytes) -> dict[str, int]:
    """The levels of a tagged field of finalized features; empty bytes: there are none."""
    if not raw:
        return {}
    return {name: level for name, level, _min_level, _tags in _FINALIZED.decode(BytesIO(raw))}
