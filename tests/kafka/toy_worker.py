"""A worker process with a stage that a test can predict: it counts records by key.

For every record an output with the key's running total goes to the output topic, and the total to the changelog. Total
n after n records means: none lost, none twice. `python toy_worker.py '{"bootstrap": ..., ...}'`.
"""

import asyncio
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from streams.runtime import logs, transaction
from streams.runtime.faust_app import StageApp
from streams.runtime.options import Guarantee, KafkaAccess, RuntimeOptions
from streams.runtime.stage import Drained, InputRecord, Output, StageFailure, StageSpec
from streams.runtime.transaction import BATCH_BYTES_MAX
from streams.runtime.transport import BatchConsumerThread
from streams.runtime.worker import Worker


class ToyOptions(msgspec.Struct, frozen=True, kw_only=True):
    bootstrap: str
    prefix: str
    instance_id: str | None = None
    flush_interval_ms: int = 50
    session_timeout_ms: int = 6_000
    rebalance_timeout_ms: int = 10_000
    large_record_bytes: int = 0
    """Add a record of this size to every flush."""
    poison: str = ""
    """Fail on this key."""
    saturated_after: int = 0
    """Be saturated from so many records on."""
    hangs_on: str = ""
    """Never return from applying this key."""
    fault: Literal["", "fetches_hang", "agent_hangs", "batches_vanish"] = ""
    """What breaks in the runtime itself once it has begun to work."""
    guarantee: Guarantee = Guarantee.EXACTLY_ONCE
    stall_timeout_s: float = 60.0
    silence_timeout_s: float = 300.0
    shutdown_timeout_s: float = 20.0
    batch_bytes_max: int = BATCH_BYTES_MAX
    """Of a record batch; less, and flushes need several."""


class CountingStage:
    def __init__(self, options: ToyOptions) -> None:
        self._options = options
        self._topic = f"{options.prefix}totals"
        self._totals: dict[bytes, int] = {}
        self._outputs: list[Output] = []
        self._dirty: set[bytes] = set()
        self._applied = 0
        self.counts: Mapping[str, int] = {}

    @property
    def gauges(self) -> Mapping[str, int]:
        return {"state_rows": len(self._totals)}

    def restore(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            self._totals.pop(key, None)
        else:
            self._totals[key] = int(value)

    def restored(self) -> None:
        pass

    def apply(self, records: Sequence[InputRecord]) -> None:
        totals, outputs, topic = self._totals, self._outputs, self._topic
        for record in records:
            key = record.key or b"?"
            if self._options.poison and key == self._options.poison.encode():
                raise StageFailure("poisoned")
            while self._options.hangs_on and key == self._options.hangs_on.encode():
                time.sleep(1)
            total = totals[key] = totals.get(key, 0) + 1
            self._dirty.add(key)
            outputs.append(Output(topic, key, b'{"total":%d,"offset":%d}' % (total, record.offset)))
        self._applied += len(records)

    def on_tick(self, now_ms: int, *, caught_up: bool) -> None:
        pass

    def position(self, next_offset: int) -> int:
        return next_offset

    def drain(self) -> Drained:
        changes: list[tuple[bytes, bytes | None]] = [(key, b"%d" % self._totals[key]) for key in self._dirty]
        drained = Drained(self._outputs, changes)
        if self._options.large_record_bytes:
            drained.outputs.append(Output(self._topic, b"large", os.urandom(self._options.large_record_bytes)))
        self._outputs, self._dirty = [], set()
        return drained

    def dirty(self) -> bool:
        return bool(self._outputs)

    def saturated(self) -> bool:
        return 0 < self._options.saturated_after <= self._applied

    def close(self) -> None:
        pass


def break_down(fault: str) -> None:
    """Break a part of the runtime."""

    async def hang(self: Any, batches: Any) -> None:
        await asyncio.Event().wait()

    async def fetch_once(self: Any, consumer: Any, active_partitions: Any, **limits: Any) -> Any:
        fetched = await fetch(self, consumer, active_partitions, **limits)
        if fetched.records:
            await asyncio.Event().wait()
        return fetched

    fetch = BatchConsumerThread._fetch_records
    if fault == "fetches_hang":
        setattr(BatchConsumerThread, "_fetch_records", fetch_once)  # noqa: B010
    if fault == "agent_hangs":
        setattr(StageApp, "_apply_all", hang)  # noqa: B010
    if fault == "batches_vanish":
        setattr(StageApp, "_apply", lambda self, batch: None)  # noqa: B010


def main() -> int:
    options = msgspec.json.decode(sys.argv[1], type=ToyOptions)
    logs.configure("toy")
    break_down(options.fault)
    spec = StageSpec(
        name="toy",
        input_topic=f"{options.prefix}input",
        changelog_topic=f"{options.prefix}changelog",
        factory=lambda partition: CountingStage(options),
        output_topics=(f"{options.prefix}totals",),
    )
    runtime = RuntimeOptions(
        kafka=KafkaAccess(options.bootstrap),
        group=f"{options.prefix}toy",
        flush_interval_ms=options.flush_interval_ms,
        session_timeout_ms=options.session_timeout_ms,
        heartbeat_interval_ms=min(1_000, options.session_timeout_ms // 3),
        rebalance_timeout_ms=options.rebalance_timeout_ms,
        instance_id=options.instance_id,
        shutdown_timeout_s=options.shutdown_timeout_s,
        stall_timeout_s=options.stall_timeout_s,
        silence_timeout_s=options.silence_timeout_s,
        guarantee=options.guarantee,
    )
    vars(transaction)["BATCH_BYTES_MAX"] = options.batch_bytes_max
    return Worker(spec, runtime).run()


if __name__ == "__main__":
    exit_code = main()
    logging.shutdown()
    os._exit(exit_code)
