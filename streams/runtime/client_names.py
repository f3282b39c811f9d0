"""What a worker calls itself to the brokers: its group, and the version that it is.

Whoever describes the group - `pegel doctor`, `kafka-consumer-groups.sh --describe` - sees which versions are at work.
"""

from importlib.metadata import version
from typing import Final

_WORD: Final = "-reader-"


def reader_name(group: str) -> str:
    return f"{group}{_WORD}{version('pegel')}"


def version_of_reader(client_id: str) -> str | None:
    """None: a version that did not say yet which one it is, or no worker."""
    _, word, found = client_id.rpartition(_WORD)
    return found if word and found else None
