"""A log in memory, and the stages of its partitions: what a broker and the runtime would be, without either."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

from schemas.catalog import Catalog
from schemas.timestamps import format_ms
from streams.engagement.clock import ClockMode
from streams.engagement.stage import EngagementConfig, EngagementStage
from streams.engine.program import compile_catalog
from streams.runtime.rejects import RejectLimits
from streams.runtime.stage import Output
from streams.topics import Topics

TOPICS = Topics("")
DAY = 86_400_000
START = 20_513 * DAY  # 2026-03-01

CATALOG: dict[str, Any] = {
    "format": 1,
    "name": "small",
    "checklist": [{"event": "report_created", "count": 1}],
    "value_event": "report_created",
    "definitions": {"uses": 'count("*", days=28)'},
    "segments": [
        {"id": "fresh", "when": "since(signed_up_at) < 4"},
        {"id": "busy", "when": 'count("*", days=7) >= 3'},
    ],
}
RANKED: dict[str, Any] = {
    **CATALOG,
    "segments": [*CATALOG["segments"], {"id": "top", "when": 'top_percent("uses", 50)'}],
}


@dataclass(frozen=True)
class Record:
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]] = field(default_factory=list)


def config(
    content: dict[str, Any] = CATALOG, *, clock: ClockMode = "wall", partitions: int = 1, hold_ms: int = 30_000
) -> EngagementConfig:
    program = compile_catalog(Catalog.model_validate(content))
    return EngagementConfig(program, TOPICS, partitions, clock, hold_ms, RejectLimits(1_000, 0.5, "THE_SETTING"))


def event(account: str, message_id: str, at: int, name: str = "seen", **more: Any) -> bytes:
    moment = format_ms(at)
    content = {"type": "track", "messageId": message_id, "event": name, "userId": "u1", "timestamp": moment}
    return json.dumps({**content, "context": {"groupId": account}, **more}).encode()


class World:
    """Partitions of the log with their stages; outputs to the log become its records."""

    def __init__(self, settings: EngagementConfig) -> None:
        self.config = settings
        self.logs: list[list[Record]] = [[] for _ in range(settings.partitions)]
        self.rows: list[dict[bytes, bytes | None]] = [{} for _ in range(settings.partitions)]
        self.out: dict[str, list[Output]] = defaultdict(list)
        self.stages = [EngagementStage(number, settings) for number in range(settings.partitions)]
        self.applied = [0] * settings.partitions
        self.slices: Iterator[int] | None = None  # how many each step works off; None: all there are

    def append(
        self, partition: int, key: str | None, value: bytes | None, at: int, *headers: tuple[str, bytes | None]
    ) -> None:
        log = self.logs[partition]
        log.append(Record(len(log), at, None if key is None else key.encode(), value, list(headers)))

    def publish(self, account: str, message_id: str, at: int, name: str = "seen", partition: int = 0) -> None:
        self.append(partition, account, event(account, message_id, at, name), at)

    def publish_control(self, kind: str, content: dict[str, Any], at: int, partition: int = 0) -> None:
        self.append(partition, None, json.dumps(content).encode(), at, ("pegel-control", kind.encode()))

    def run(self, now: int) -> None:
        """Apply everything, tick, and go on until nothing more comes."""
        for _ in range(20):
            for number in range(len(self.stages)):
                self.step(number, now)
            if all(self.applied[n] == len(log) for n, log in enumerate(self.logs)) and not any(
                stage.dirty() or stage.has_backlog() for stage in self.stages
            ):
                return
        raise AssertionError("the log never comes to rest")

    def step(self, number: int, now: int) -> None:
        stage, log = self.stages[number], self.logs[number]
        if self.applied[number] < len(log):
            stage.apply(log[self.applied[number] :])
            self.applied[number] = len(log)
        stage.on_tick(now, caught_up=True)
        for _ in repeat(None) if self.slices is None else range(next(self.slices)):
            if not stage.work_off():
                break
        self.flush(number)

    def flush(self, number: int) -> None:
        drained = self.stages[number].drain()
        for key, row in drained.changes:
            self.rows[number][key] = row
        for output in drained.outputs:
            self.out[output.topic].append(output)
            if output.topic == TOPICS.account_events:
                assert output.partition is not None
                assert output.timestamp_ms is not None
                assert output.key is None, "the stage writes control records and nothing else"
                self.append(output.partition, None, output.value, output.timestamp_ms, *output.headers)

    def restart(self, number: int = 0) -> None:
        """The stage is lost; a new one is made from what was flushed."""
        stage = EngagementStage(number, self.config)
        for key, row in self.rows[number].items():
            stage.restore(key, row)
        stage.restored()
        self.stages[number] = stage

    def controls(self, partition: int = 0) -> list[str]:
        return [
            (value or b"").decode()
            for record in self.logs[partition]
            for name, value in record.headers
            if name == "pegel-control"
        ]

    def transitions(self) -> list[dict[str, Any]]:
        found = [json.loads(output.value or b"") for output in self.out[TOPICS.transitions]]
        for transition in found:
            transition.pop("emitted_at")
        return found

    def told(self) -> list[tuple[str, str, str, Any]]:
        return [(t["account_id"], t["segment"], t["direction"], t["trigger"]) for t in self.transitions()]
