"""Dumped records, written as `kcat -J` and `pegel dump` write them."""

import base64
import json
from typing import Any

from schemas.catalog import Catalog
from schemas.timestamps import format_ms
from streams.engine.program import version_of

TOPIC = "account.events.v1"


def envelope(payload: Any, ts: int, *, key: str | None = "acme", partition: int = 0, **more: Any) -> dict[str, Any]:
    text = payload if isinstance(payload, str | None) else json.dumps(payload)
    plain = {"topic": TOPIC, "partition": partition, "offset": 0, "tstype": "create", "ts": ts, "broker": 0}
    return plain | {"key": key, "payload": text} | more


def control(kind: str, value: dict[str, Any], ts: int, *, partition: int = 0) -> dict[str, Any]:
    return envelope(value, ts, key=None, partition=partition, headers=["pegel-control", kind])


def clock(at: int, *, partition: int = 0) -> dict[str, Any]:
    return control("clock", {"at": format_ms(at)}, at, partition=partition)


def catalog_change(catalog: Catalog, ts: int, **more: Any) -> dict[str, Any]:
    value = {"version": version_of(catalog), "announce": False, "content": catalog.model_dump(mode="json")} | more
    return control("catalog", value, ts)


def in_base64(record: dict[str, Any]) -> dict[str, Any]:
    """The same record, as bytes that are no UTF-8 are dumped."""
    found = {name: value for name, value in record.items() if name not in ("key", "payload")}
    for name in ("key", "payload"):
        if record[name] is not None:
            found[f"{name}_base64"] = base64.b64encode(record[name].encode()).decode()
    return found
