"""What a destination called earlier messages: later ones go into a thread with them, or take their place.

By subject: an account, for the notes about it, or a play, for its lists. The first message about a subject is the
parent of its thread; of plays that edit, the last one is known too. Digests tell of many and belong to no thread.

The subjects told of last are known, so many at most; a thread that was forgotten begins anew.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from streams.connectors.message import MessageKind
from streams.notify.courier.rows import Kind, ThreadRow, decode_thread, encode, key_of
from streams.notify.plan.delivery import SEPARATOR, Delivery

THREADS_MAX: Final = 20_000
"""At one destination."""
PLAYS_MAX: Final = 100
"""That edit, about one subject."""


def subject_of(delivery: Delivery) -> str | None:
    """None: it belongs to no thread."""
    match delivery.kind:
        case MessageKind.NOTE:
            return delivery.news.account_id
        case MessageKind.LIST:
            return f"{SEPARATOR}{delivery.play}"
        case _:
            return None


class Threads:
    def __init__(self, destination: str, most: int = THREADS_MAX) -> None:
        self._destination = destination
        self._most = most
        self._known: dict[str, ThreadRow] = {}
        self._changed: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._known)

    def parent(self, delivery: Delivery) -> str | None:
        """The ref of the first message about the same account."""
        known = self._known.get(subject_of(delivery) or "") if delivery.kind is MessageKind.NOTE else None
        return None if known is None else known.ref

    def last(self, delivery: Delivery) -> str | None:
        """The ref of the message that this one may take the place of."""
        known = self._known.get(subject_of(delivery) or "")
        return None if known is None else known.last.get(delivery.play)

    def note(self, delivery: Delivery, ref: str, *, edits: bool) -> None:
        """A message is there."""
        subject = subject_of(delivery)
        if subject is None:
            return
        known = self._known.pop(subject, None)
        row = known or ThreadRow(ref, {})
        if edits and row.last.get(delivery.play) != ref and (delivery.play in row.last or len(row.last) < PLAYS_MAX):
            row = msgspec.structs.replace(row, last={**row.last, delivery.play: ref})
        self._known[subject] = row
        if row is not known:
            self._changed[subject] = None
        while len(self._known) > self._most:
            oldest = next(iter(self._known))
            del self._known[oldest]
            self._changed[oldest] = None

    def forget(self, account: str) -> None:
        if self._known.pop(account, None) is not None:
            self._changed[account] = None

    def restore(self, subject: str, row: bytes | None) -> None:
        self._known.pop(subject, None)
        if row is not None:
            self._known[subject] = decode_thread(row)

    def dirty(self) -> bool:
        return bool(self._changed)

    def changes(self) -> Iterator[tuple[bytes, bytes | None]]:
        for subject in self._changed:
            known = self._known.get(subject)
            yield key_of(Kind.THREAD, self._destination, subject), None if known is None else encode(known)
        self._changed = {}
