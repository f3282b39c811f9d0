"""News, records and plays for tests."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.playbook import Destination, Play
from streams.notify.plan.delivery import Delivery, Source, delivery_id
from streams.notify.plan.news import News, read

NOW_MS = 1_772_368_498_000  # 2026-03-01T12:34:58Z
EFFECTIVE_AT = "2026-03-01T12:34:57.000Z"


def transition(account: str = "acme", sequence: int = 1, **fields: Any) -> dict[str, Any]:
    segment = fields.get("segment", "at_risk")
    return {
        "transition_id": f"t-{account}-{sequence}",
        "account_id": account,
        "segment": segment,
        "direction": "entered",
        "group": None,
        "from_segment": None,
        "effective_at": EFFECTIVE_AT,
        "sequence": sequence,
        "catalog_version": "v1",
        "evidence": {"values": {"score(days=3)": 24}},
        "trigger": "deadline",
        "entered_at": None,
        "dwell_seconds": None,
        "forecast": None,
        "emitted_at": EFFECTIVE_AT,
    } | fields


def raw(account: str = "acme", sequence: int = 1, **fields: Any) -> bytes:
    return json.dumps(transition(account, sequence, **fields)).encode()


def news(account: str = "acme", sequence: int = 1, **fields: Any) -> News:
    return read(raw(account, sequence, **fields))


def play(**fields: Any) -> Play:
    segments = {} if "segments" in fields else {"segment": "at_risk"}
    return Play.model_validate({"id": "save", "template": "plain", "destination": "team"} | segments | fields)


def destination(**fields: Any) -> Destination:
    return Destination.model_validate({"id": "team", "type": "fake"} | fields)


def delivery(account: str = "acme", sequence: int = 1, partition: int = 0, **fields: Any) -> Delivery:
    told = news(account, sequence)
    known: dict[str, Any] = {
        "delivery_id": delivery_id("team", told.transition_id, "plain"),
        "play": "save",
        "destination": "team",
        "template": "plain",
        "planned_at_ms": NOW_MS,
        "news": told,
        "source": Source(partition, sequence, NOW_MS, account.encode(), raw(account, sequence)),
    }
    return Delivery(**(known | fields))


@dataclass(frozen=True)
class Record:
    """An input record as the runtime hands it on."""

    offset: int
    value: bytes | None
    key: bytes | None = b"acme"
    timestamp: int = NOW_MS
    headers: Sequence[tuple[str, bytes | None]] = field(default=(("ce_id", b"t-1"),))


@dataclass
class FakeClock:
    now_ms: int = NOW_MS

    def __call__(self) -> int:
        return self.now_ms
