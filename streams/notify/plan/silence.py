"""Silences: what an operator does not want told for a while, at one destination."""

from typing import Final

import msgspec

SILENCES_MAX: Final = 1_000
TEXT_CHARS_MAX: Final = 500


class Silence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What matches all that is named is not told until `until_ms`; nothing named: nothing at all is told."""

    id: str
    until_ms: int
    account: str | None = None
    segment: str | None = None
    play: str | None = None
    comment: str = ""
    by: str = ""

    def covers(self, account: str, segment: str, play: str, now_ms: int) -> bool:
        return (
            now_ms < self.until_ms
            and self.account in (None, account)
            and self.segment in (None, segment)
            and self.play in (None, play)
        )
