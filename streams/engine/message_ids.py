"""Which records an account has taken lately: what tells a duplicate.

Theory of operation. An id is known while it is among the last `MESSAGE_IDS_MAX` taken and at most 24 h old, its age
being counted on the account's arrival clock. Ids are kept as they are stored: entries of `ENTRY_BYTES` one after the
other, oldest first, each the 8 bytes of the id's hash and the arrival in ms modulo 2^32 (49 days, of which a day
suffices). A lookup is a search for 8 bytes, an encode is a copy, a decode is nothing: for the busiest accounts these
entries are most of the state.

Arrivals never fall, so what is too old stands in front. An id that is taken again was too old, and goes with it. The
arrival of the first entry is kept as a number as well: it is asked for with every id, and rarely another's.
"""

from typing import Final

from streams.limits import MESSAGE_ID_AGE_MAX_MS, MESSAGE_IDS_MAX

DIGEST_BYTES: Final = 8
ENTRY_BYTES: Final = 12
_LOW: Final = (1 << 32) - 1
_BYTES_MAX: Final = MESSAGE_IDS_MAX * ENTRY_BYTES
_UNKNOWN: Final = -(1 << 62)


class MessageIds:  # noqa: PLW1641 - it changes
    """`newest` is the arrival of the last entry, ms UTC; it places the others' low bits."""

    __slots__ = ("_oldest", "entries", "newest")

    def __init__(self, newest: int = 0, entries: bytes = b"") -> None:
        self.newest = newest
        self.entries = bytearray(entries)
        self._oldest = _UNKNOWN

    def taken_at(self, digest: bytes) -> int | None:
        """The arrival at which an id was taken, ms UTC; None if it is not remembered."""
        place: int = self.entries.find(digest)
        while place > 0 and place % ENTRY_BYTES:
            place = self.entries.find(digest, place + 1)
        return None if place < 0 else self._arrival_at(place)

    def take(self, digest: bytes, arrival: int) -> None:
        """Remember an id at this arrival, which is no earlier than the one before, and forget what is too old."""
        entries = self.entries
        if arrival - self.newest > MESSAGE_ID_AGE_MAX_MS:  # so that low bits are always of the last days
            entries.clear()
            self._oldest = _UNKNOWN
        self.newest = arrival
        entries += digest + (arrival & _LOW).to_bytes(4, "big")
        if len(entries) > _BYTES_MAX:
            del entries[:ENTRY_BYTES]
            self._oldest = _UNKNOWN
        if self._oldest == _UNKNOWN:
            self._oldest = self._arrival_at(0)
        while arrival - self._oldest > MESSAGE_ID_AGE_MAX_MS:
            del entries[:ENTRY_BYTES]
            self._oldest = self._arrival_at(0)

    def arrivals(self) -> dict[bytes, int]:
        """The arrival of each id, oldest first."""
        places = range(0, len(self.entries), ENTRY_BYTES)
        return {bytes(self.entries[place : place + DIGEST_BYTES]): self._arrival_at(place) for place in places}

    def _arrival_at(self, place: int) -> int:
        entries = self.entries
        low = entries[place + 8] << 24 | entries[place + 9] << 16 | entries[place + 10] << 8 | entries[place + 11]
        return self.newest - ((self.newest - low) & _LOW)

    def __len__(self) -> int:
        return len(self.entries) // ENTRY_BYTES

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MessageIds) and (self.newest, self.entries) == (other.newest, other.entries)
