"""How fast one destination may be asked: evenly, so many a second, and not at all while it says so.

The generic cell rate algorithm: one number, the time at which the next message conforms. A second's worth may go out
at once after a quiet time if the rate is above one a second, and a single message otherwise (Slack's rule is one
message a second, not sixty a minute).
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Pace:
    rate_per_s: float | None
    """`None`: as fast as it goes."""
    conforms_ms: float = 0.0
    paused_until_ms: int = 0

    def next_ms(self) -> float:
        """The earliest time at which a message may go out."""
        return max(self.conforms_ms - self._burst_ms, self.paused_until_ms)

    def sent(self, now_ms: int) -> "Pace":
        if self.rate_per_s is None:
            return self
        return replace(self, conforms_ms=max(self.conforms_ms, now_ms) + 1_000 / self.rate_per_s)

    def paused(self, until_ms: int) -> "Pace":
        """Nothing before then. A shorter pause does not end a longer one."""
        return replace(self, paused_until_ms=max(self.paused_until_ms, until_ms))

    @property
    def _burst_ms(self) -> float:
        if self.rate_per_s is None or self.rate_per_s <= 1:
            return 0.0
        return 1_000 - 1_000 / self.rate_per_s
