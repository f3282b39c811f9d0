"""A stage whose every output can be predicted: it counts records by key."""

from collections.abc import Mapping, Sequence

from streams.runtime.stage import Drained, InputRecord, Output
from tests.sim.cluster import OUTPUT


class CountingStage:
    """For each record the key's running total goes out, and the totals are the state."""

    def __init__(self) -> None:
        self._totals: dict[bytes, int] = {}
        self._outputs: list[Output] = []
        self._dirty: dict[bytes, None] = {}
        self.counts: Mapping[str, int] = {}
        self.gauges: Mapping[str, int] = {}

    def restore(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            self._totals.pop(key, None)
        else:
            self._totals[key] = int(value)

    def restored(self) -> None:
        pass

    def apply(self, records: Sequence[InputRecord]) -> None:
        for record in records:
            key = record.key or b"?"
            total = self._totals[key] = self._totals.get(key, 0) + 1
            self._dirty[key] = None
            self._outputs.append(Output(OUTPUT, key, b"%d" % total))

    def on_tick(self, now_ms: int, *, caught_up: bool) -> None:
        pass

    def position(self, next_offset: int) -> int:
        return next_offset

    def drain(self) -> Drained:
        drained = Drained(self._outputs, [(key, b"%d" % self._totals[key]) for key in self._dirty])
        self._outputs, self._dirty = [], {}
        return drained

    def dirty(self) -> bool:
        return bool(self._outputs)

    def saturated(self) -> bool:
        return False

    def close(self) -> None:
        pass
