"""Setting a destination up: what a connector needs at its provider, and can make there by itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable


class Did(StrEnum):
    """What became of one thing."""

    CREATED = "created"
    EXISTS = "exists"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is needed, and what is to be said about it; `advice` is empty where all is well."""

    name: str
    did: Did
    advice: str = ""


@runtime_checkable
class Preparing(Protocol):
    """A connector that can set its destination up."""

    async def prepare(self, segments: Sequence[str], groups: Sequence[str], now_ms: int) -> list[Step]:
        """Make what is missing for these segments (outside groups) and groups. Ends at the first failure."""
        ...
