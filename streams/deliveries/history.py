"""What was done about deliveries: `playbook.actions.v1`, read for one delivery or for the last ones of many."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import msgspec

Wanted = Callable[[dict[str, Any]], bool]


class Record(Protocol):
    """A record as the client gives it."""

    def value(self) -> bytes | None: ...


def of_delivery(records: Iterable[Record], delivery_id: str) -> Iterator[dict[str, Any]]:
    """Every action about a delivery, in the order of the log."""
    word = delivery_id.encode()
    for record in records:
        value = record.value()
        if value is not None and word in value:
            action = msgspec.json.decode(value)
            if action["delivery_id"] == delivery_id:
                yield action


def latest(records: Iterable[Record], wanted: Wanted, most: int) -> list[dict[str, Any]]:
    """The last action about each delivery that is wanted; of all deliveries the `most` that were acted on last."""
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        value = record.value()
        if value is None:
            continue
        action = msgspec.json.decode(value)
        if wanted(action):
            found.pop(action["delivery_id"], None)
            found[action["delivery_id"]] = action
            if len(found) > most:
                del found[next(iter(found))]
    return list(found.values())
