"""Which records an account has taken lately: what tells a duplicate.

Theory of operation. An id is known while it is among the last `MESSAGE_IDS_MAX` taken and at most 24 h old, its age
being counted on the account's arrival clock. Ids are pairs of numbers in one block of memory, oldest first: the 8 bytes
of the id's hash, and the arrival in ms UTC. A lookup goes through them, which is cheap: there are a day's at most.

Arrivals never fall, so what is too old stands in front. An id that is taken again was too old, and goes with it.
"""

from typing import Final

from librt.strings import read_i64_be
from librt.vecs import append, vec
from mypy_extensions import i64, mypyc_attr

from streams.limits import MESSAGE_ID_AGE_MAX_MS, MESSAGE_IDS_MAX

DIGEST_BYTES: Final = 8
_NUMBERS_MAX: Final = 2 * MESSAGE_IDS_MAX


@mypyc_attr(acyclic=True)
class MessageIds:  # noqa: PLW1641 - it changes
    """`pairs`: of each id its hash and its arrival."""

    __slots__ = ("pairs",)

    pairs: vec[i64]

    def __init__(self) -> None:
        self.pairs = vec[i64]()

    def taken_at(self, digest: bytes) -> int | None:
        """The arrival at which an id was taken, ms UTC; None if it is not remembered."""
        pairs, wanted = self.pairs, read_i64_be(digest, 0)
        place = i64(len(pairs)) - 2
        while place >= 0:
            if pairs[place] == wanted:
                return pairs[place + 1]
            place -= 2
        return None

    def take(self, digest: bytes, arrival: i64) -> None:
        """Remember an id at this arrival, which is no earlier than the one before, and forget what is too old."""
        pairs = append(append(self.pairs, read_i64_be(digest, 0)), arrival)
        kept_from: i64 = 2 if i64(len(pairs)) > _NUMBERS_MAX else 0
        while arrival - pairs[kept_from + 1] > MESSAGE_ID_AGE_MAX_MS:
            kept_from += 2
        self.pairs = pairs[kept_from:] if kept_from else pairs

    @property
    def newest(self) -> int:
        """The arrival of the id that was taken last; 0 if there is none."""
        pairs = self.pairs
        return pairs[-1] if len(pairs) else 0

    def arrivals(self) -> dict[bytes, int]:
        """The arrival of each id, oldest first."""
        pairs = [int(number) for number in self.pairs]
        return {
            digest.to_bytes(DIGEST_BYTES, "big", signed=True): arrival
            for digest, arrival in zip(pairs[::2], pairs[1::2], strict=True)
        }

    def __len__(self) -> int:
        return len(self.pairs) // 2

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MessageIds) and self.pairs == other.pairs
