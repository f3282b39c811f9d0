"""The circuit breaker of one destination: after enough failures in a row it is left alone, then asked once.

| state   | on                                     | becomes | and                                      |
|---------|----------------------------------------|---------|------------------------------------------|
| CLOSED  | a success                              | CLOSED  | failures start again at 0                |
| CLOSED  | the 5th failure in a row               | OPEN    | for 10 s                                 |
| OPEN    | its time is over, an attempt may start | PROBING | exactly that attempt goes out            |
| OPEN    | an operator asks for an attempt        | OPEN    | its time is over: the attempt is a probe |
| PROBING | the probe succeeds                     | CLOSED  |                                          |
| PROBING | the probe fails                        | OPEN    | twice as long as before, 5 min at most   |
| any     | credentials refused                    | OPEN    | for 5 min: only a human can help         |

Attempts that were under way when the breaker opened end while it is OPEN or PROBING; what they come to changes nothing,
or twenty of them would double the wait twenty times. A value: every method returns the next breaker.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

FAILURES_MAX: Final = 5
OPEN_FIRST_MS: Final = 10_000
OPEN_MAX_MS: Final = 300_000


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"


class Permit(StrEnum):
    """What may start now."""

    ANY = "any"
    PROBE = "probe"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Breaker:
    state: BreakerState = BreakerState.CLOSED
    failures: int = 0
    open_ms: int = 0
    """How long the present opening lasts, or the last one did."""
    until_ms: int = 0

    def permit(self, now_ms: int) -> Permit:
        if self.state is BreakerState.CLOSED:
            return Permit.ANY
        if self.state is BreakerState.OPEN and now_ms >= self.until_ms:
            return Permit.PROBE
        return Permit.NONE

    def probing(self) -> "Breaker":
        assert self.state is BreakerState.OPEN
        return replace(self, state=BreakerState.PROBING)

    def succeeded(self, *, probe: bool) -> "Breaker":
        if self.state is BreakerState.CLOSED or (probe and self.state is BreakerState.PROBING):
            return Breaker()
        return self

    def failed(self, now_ms: int, *, probe: bool) -> "Breaker":
        if self.state is BreakerState.CLOSED:
            if self.failures + 1 < FAILURES_MAX:
                return replace(self, failures=self.failures + 1)
            return self._opened(now_ms, OPEN_FIRST_MS)
        if probe and self.state is BreakerState.PROBING:
            return self._opened(now_ms, min(2 * self.open_ms, OPEN_MAX_MS))
        return self

    def refused(self, now_ms: int) -> "Breaker":
        """Our credentials were refused; asking again soon would be an attack."""
        return self._opened(now_ms, OPEN_MAX_MS)

    def asked(self, now_ms: int) -> "Breaker":
        """Somebody who has looked wants an attempt now: one, whatever was waited for."""
        return replace(self, until_ms=now_ms) if self.state is BreakerState.OPEN else self

    def withdrawn(self, now_ms: int) -> "Breaker":
        """The probe ended without telling anything (its partition moved away): the next attempt is the probe."""
        return replace(self, state=BreakerState.OPEN, until_ms=now_ms)

    def _opened(self, now_ms: int, open_ms: int) -> "Breaker":
        return Breaker(BreakerState.OPEN, 0, open_ms, now_ms + open_ms)
