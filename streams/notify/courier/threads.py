"""What a destination called its first message about each account: later ones go into the same thread.

The accounts told of last are known, so many at most; a thread that was forgotten begins anew.
"""

from collections.abc import Iterator
from typing import Final

from streams.notify.courier.rows import Kind, ThreadRow, decode, encode, key_of

THREADS_MAX: Final = 20_000
"""At one destination."""


class Threads:
    def __init__(self, destination: str, most: int = THREADS_MAX) -> None:
        self._destination = destination
        self._most = most
        self._known: dict[str, ThreadRow] = {}
        self._changed: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._known)

    def ref(self, account: str) -> str | None:
        known = self._known.get(account)
        return None if known is None else known.ref

    def note(self, account: str, ref: str, at_ms: int) -> None:
        """A message about the account is there; the first one's ref stays."""
        known = self._known.pop(account, None)
        self._known[account] = known or ThreadRow(ref, at_ms)
        if known is None:
            self._changed[account] = None
        while len(self._known) > self._most:
            oldest = next(iter(self._known))
            del self._known[oldest]
            self._changed[oldest] = None

    def forget(self, account: str) -> None:
        if self._known.pop(account, None) is not None:
            self._changed[account] = None

    def restore(self, account: str, row: bytes | None) -> None:
        self._known.pop(account, None)
        if row is not None:
            self._known[account] = decode(row, ThreadRow)

    def dirty(self) -> bool:
        return bool(self._changed)

    def changes(self) -> Iterator[tuple[bytes, bytes | None]]:
        for account in self._changed:
            known = self._known.get(account)
            yield key_of(Kind.THREAD, self._destination, account), None if known is None else encode(known)
        self._changed = {}
