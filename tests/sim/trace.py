"""What happened in a run, in order, and a hash that says whether two runs were the same."""

import hashlib
from collections import deque
from typing import Any, Final

SHOWN_MAX: Final = 400


class Trace:
    """Bounded by the steps of a run. Nothing is formatted before somebody asks."""

    def __init__(self, now: Any) -> None:
        self._now = now
        self._events: list[tuple[Any, ...]] = []

    def note(self, *event: Any) -> None:
        self._events.append((self._now(), *event))

    def hash(self) -> str:
        digest = hashlib.sha256()
        for event in self._events:
            digest.update(repr(event).encode())
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self._events)

    def last(self) -> list[str]:
        return [_line(event) for event in deque(self._events, SHOWN_MAX)]


def _line(event: tuple[Any, ...]) -> str:
    now_s, *words = event
    return f"{now_s:9.4f} " + " ".join(str(word) for word in words)
