"""What is said of lines that cannot be used: the first ones one by one, and that there are more."""

from typing import Final

from streams.cli.options import say

SHOWN_MAX: Final = 100


class BadLines:
    """The bad lines of one reading."""

    def __init__(self) -> None:
        self._count = 0

    def refused(self, place: str, why: str) -> None:
        self._count += 1
        if self._count <= SHOWN_MAX:
            say(f"{place}: {why}")
        elif self._count == SHOWN_MAX + 1:
            say("further lines like these are counted, not shown")
