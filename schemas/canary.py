"""Names that belong to the canary: accounts that are nobody's, whose crossings show that the whole way works.

Whoever tells people, or counts accounts, leaves them out by their name.
"""

from typing import Final

CANARY_PREFIX: Final = "pegel-canary-"
_PREFIX: Final = CANARY_PREFIX.encode()


def is_canary(account_id: str) -> bool:
    return account_id.startswith(CANARY_PREFIX)


def is_canary_key(key: bytes | None) -> bool:
    """Whether a record keyed by account is about the canary."""
    return key is not None and key.startswith(_PREFIX)
