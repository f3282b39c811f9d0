"""Mail addresses, read strictly: nothing that passes can end a header or begin another recipient."""

import re
from typing import Final

ADDRESS_CHARS_MAX: Final = 254
LOCAL_CHARS_MAX: Final = 64
LOCAL: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
ADDRESS: Final = re.compile(rf"({LOCAL})@({LABEL}(?:\.{LABEL})*)")


def is_address(text: str) -> bool:
    """A plain ASCII address and nothing else: no name, no brackets, no comment."""
    found = ADDRESS.fullmatch(text)
    return found is not None and len(text) <= ADDRESS_CHARS_MAX and len(found[1]) <= LOCAL_CHARS_MAX


def domain_of(address: str) -> str:
    return address.rpartition("@")[2]
