"""A share of what is published begins a trace; the span of it ends when Kafka has the record."""

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from schemas.trace import context_of
from streams.publish.publisher import TRACES_KEPT_MAX, PublishOrder, _Run
from streams.tracing.outbox import SpanOutbox
from streams.tracing.spans import Span

LINE = json.dumps({"type": "track", "event": "e", "userId": "u", "receivedAt": "2026-03-01T00:00:00Z"})


class Message:
    def partition(self) -> int:
        return 2

    def offset(self) -> int:
        return 7

    def __len__(self) -> int:
        return len(LINE)


class Client:
    """Takes every record, and reports it with the error that it is told."""

    def __init__(self, error: Any = None) -> None:
        self.headers: list[Sequence[tuple[str, bytes]]] = []
        self._error = error

    def produce(
        self, _topic: str, _value: bytes, _key: bytes, *, headers: Any, on_delivery: Callable[..., None], **_: Any
    ) -> None:
        self.headers.append(headers)
        on_delivery(self._error, Message())

    def poll(self, _: float) -> None: ...
    def flush(self, _: float) -> int:
        return 0


class Kept:
    def __init__(self) -> None:
        self.spans: list[Span] = []

    def export(self, spans: Sequence[Span]) -> bool:
        self.spans += spans
        return True

    def close(self) -> None: ...


def published(tmp_path: Path, client: Client, share: float, lines: int = 100) -> tuple[list[str], list[Span]]:
    (tmp_path / "events").write_text(f"{LINE}\n" * lines)
    kept = Kept()
    outbox = SpanOutbox(kept)
    order = PublishOrder([str(tmp_path / "events")], "product.events.v1", trace_share=share)
    result = _Run(client, order, None, Event(), lambda _: None, outbox).run(lambda *_: None)
    outbox.start()
    outbox.close()
    return result.traces, kept.spans


def test_without_a_share_no_record_has_a_trace(tmp_path: Path) -> None:
    client = Client()
    assert published(tmp_path, client, 0.0) == ([], [])
    assert set(map(tuple, client.headers)) == {()}


def test_with_a_share_of_1_each_record_begins_a_trace_of_its_own_and_the_first_ids_are_told(tmp_path: Path) -> None:
    client = Client()
    traces, spans = published(tmp_path, client, 1.0)
    contexts = [context_of(headers) for headers in client.headers]
    assert [one.context for one in spans] == contexts
    assert len({one.context.trace_id for one in spans}) == 100
    assert traces == [one.context.trace_id for one in spans[:TRACES_KEPT_MAX]]
    assert all(one.parent is None and one.failed is None for one in spans)
    assert spans[0].attributes["messaging.kafka.offset"] == 7


def test_a_share_is_about_as_large_as_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "random", random.Random(7).random)
    _, spans = published(tmp_path, Client(), 0.25, lines=1_000)
    assert 200 < len(spans) < 300


def test_a_record_that_kafka_does_not_take_has_a_failed_span(tmp_path: Path) -> None:
    class Refusal:
        def str(self) -> str:
            return "Broker: Message size too large"

    _, [span] = published(tmp_path, Client(Refusal()), 1.0, lines=1)
    assert span.failed == "not_taken"
    assert "messaging.kafka.offset" not in span.attributes
