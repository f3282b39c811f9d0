"""Time that passes when a test says so."""


class ManualClock:
    def __init__(self, now_s: float = 1_772_368_498.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s

    def advance(self, seconds: float) -> None:
        self.now_s += seconds
