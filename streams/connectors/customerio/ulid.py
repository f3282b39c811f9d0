"""The id by which Customer.io knows an event from its repeat: a ULID, made from the delivery.

A ULID is 48 bits of time and 80 bits that are otherwise random, written in Crockford's base 32. Here the time is the
transition's and the rest comes from the delivery's id: equal on every attempt, for ever.
"""

from hashlib import blake2b
from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CHARS: Final = 26
TIME_BITS: Final = 48
REST_BYTES: Final = 10


def ulid_of(delivery_id: str, time_ms: int) -> str:
    """26 characters that sort by time."""
    rest = int.from_bytes(blake2b(delivery_id.encode(), digest_size=REST_BYTES).digest(), "big")
    number = (max(time_ms, 0) % (1 << TIME_BITS)) << (8 * REST_BYTES) | rest
    return "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(CHARS)))
