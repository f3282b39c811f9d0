"""Traces of one event from publish to Slack, as an exporter of OpenTelemetry's sees them."""

import json
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from schemas.timestamps import format_ms
from schemas.trace import TRACEPARENT, TraceContext, carried, context_of
from streams.dev.slack import Fault, SlackStandIn
from streams.tracing.otlp import OtlpExporter
from streams.tracing.outbox import SpanOutbox
from tests.unit.tracing.pipeline import TOPICS, Log, Record, now_ms, pipeline, settle
from tests.unit.tracing.tree import Seen, Tree, require_sound, tree_of

CONTEXT = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
PLAYBOOK = """\
format: 1
name: test
destinations:
  - {{id: team, type: slack, url: "{url}", allow_http: true, rate_per_s: 100, timeout_s: 2}}
templates:
  plain: {{title: "{{{{ account }}}}", body: "{{{{ segment }}}}"}}
plays:
  - {{id: greet, segment: new_trial, template: plain, destination: team}}
"""
INTAKE, ENGAGEMENT, ROUTER, COURIER = (
    f"process {topic}"
    for topic in (TOPICS.product_events, TOPICS.account_events, TOPICS.transitions, TOPICS.inbox)
)  # fmt: skip


def event(account: str, number: int) -> bytes:
    said = {
        "type": "track", "event": "report_created", "messageId": f"m-{account}-{number}", "userId": "jane@example.com",
        "timestamp": format_ms(now_ms()), "context": {"groupId": account},
    }  # fmt: skip
    return json.dumps(said).encode()


def publish(log: Log, account: str, number: int, traced: TraceContext | None = None) -> None:
    headers = [] if traced is None else carried(traced, b"vendor=1")
    log.append(TOPICS.product_events, b"u", event(account, number), now_ms(), headers)


def seen(span: ReadableSpan) -> Seen:
    context, parent = span.context, span.parent
    assert context is not None
    assert context.trace_flags.sampled
    return Seen(
        name=span.name,
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        parent_id=None if parent is None else f"{parent.span_id:016x}",
        kind=span.kind.name.lower(),
        start_ns=span.start_time or 0,
        end_ns=span.end_time or 0,
        attributes=dict(span.attributes or {}),
        failed=not span.status.is_unset,
        service=str(span.resource.attributes["service.name"]),
        links=tuple(f"{link.context.span_id:016x}" for link in span.links),
    )


class Traced:
    """A way out for spans that ends in memory."""

    def __init__(self) -> None:
        self._memory = InMemorySpanExporter()
        self.outbox = SpanOutbox(OtlpExporter(self._memory, "pegel-test"))
        self.outbox.start()

    def spans(self) -> list[Seen]:
        self.outbox.close()
        assert sum(self.outbox.lost.values()) == 0
        return [seen(one) for one in self._memory.get_finished_spans()]


def written(folder: Path, url: str) -> Path:
    playbook = folder / "playbook.yaml"
    playbook.write_text(PLAYBOOK.format(url=url))
    return playbook


def arrived(log: Log) -> int:
    """Deliveries that the courier knows to have arrived: a while after the message is there."""
    return sum(b'"outcome":"delivered"' in (one.value or b"") for one in log.topics[TOPICS.actions])


async def test_one_event_is_one_trace_from_its_record_to_the_message_in_slack(tmp_path: Path) -> None:
    traced = Traced()
    async with (
        SlackStandIn(rate_limited=False) as slack,
        pipeline(written(tmp_path, slack.url()), traced.outbox) as (log, workers),
    ):
        publish(log, "untraced", 1)
        publish(log, "acme", 1, CONTEXT)
        publish(log, "untraced", 2)
        await settle(workers, lambda: arrived(log) == 2)

    spans = traced.spans()
    require_sound(spans)
    transitions = [r for r in log.topics[TOPICS.transitions] if r.key == b"acme"]
    heard: Tree = {COURIER: [{"deliver team": []}, {"plan team": []}]}
    routed = tree_of(spans)[0][INTAKE][0][ENGAGEMENT]
    assert tree_of(spans) == [{INTAKE: [{ENGAGEMENT: routed}]}]
    assert len(routed) == len(transitions) > 1
    assert [one for one in routed if one[ROUTER]] == [{ROUTER: [heard]}]

    named = {one.name: one for one in spans if one.name != ROUTER}
    assert named[INTAKE].parent_id == CONTEXT.span_id
    assert named[INTAKE].attributes == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "product.events.v1",
        "messaging.consumer.group.name": "pegel.intake",
        "messaging.destination.partition.id": "0",
        "messaging.kafka.offset": 1,
        "pegel.stage": "intake",
    }
    ids = [dict(one.headers)["ce_id"] or b"" for one in transitions]
    assert list(named[ENGAGEMENT].attributes["pegel.transition_ids"]) == [one.decode() for one in ids]
    delivered = named["deliver team"]
    assert delivered.kind == "client"
    assert delivered.attributes["pegel.transition_id"] in named[ENGAGEMENT].attributes["pegel.transition_ids"]
    assert delivered.attributes["pegel.delivery_id"] in {one.delivery_id for one in slack.messages}
    assert (delivered.attributes["pegel.outcome"], delivered.attributes["pegel.attempt"]) == ("delivered", 1)
    assert named["plan team"].attributes["pegel.reason"] == "planned"
    assert not [one for one in spans if one.failed]


async def test_no_span_names_an_account_or_a_user(tmp_path: Path) -> None:
    traced = Traced()
    async with (
        SlackStandIn(rate_limited=False) as slack,
        pipeline(written(tmp_path, slack.url()), traced.outbox) as (log, workers),
    ):
        publish(log, "secret-account", 1, CONTEXT)
        await settle(workers, lambda: arrived(log) == 1)
    shown = str(traced.spans())
    assert "secret-account" not in shown
    assert "jane" not in shown


async def test_each_failed_attempt_is_a_failed_span_beside_the_one_that_arrived(tmp_path: Path) -> None:
    traced = Traced()
    async with (
        SlackStandIn(rate_limited=False) as slack,
        pipeline(written(tmp_path, slack.url()), traced.outbox) as (log, workers),
    ):
        slack.faults.append(Fault(status=429, retry_after="0"))
        publish(log, "acme", 1, CONTEXT)
        await settle(workers, lambda: arrived(log) == 1)
    attempts = sorted((one for one in traced.spans() if one.name == "deliver team"), key=lambda one: one.start_ns)
    assert [(one.failed, one.attributes["pegel.reason"]) for one in attempts] == [
        (True, "throttled"),
        (False, "delivered"),
    ]
    assert len({one.parent_id for one in attempts}) == 1


async def test_a_record_that_is_refused_has_a_failed_span_and_keeps_its_context() -> None:
    traced = Traced()
    async with pipeline(None, traced.outbox) as (log, workers):
        log.append(TOPICS.product_events, b"u", b"{", now_ms(), carried(CONTEXT, None))
        await settle(workers)
        [letter] = log.topics[TOPICS.product_events_dlq]
    [span] = traced.spans()
    assert (span.name, span.failed, span.attributes["error.type"]) == (INTAKE, True, "not_json")
    assert context_of(letter.headers) == CONTEXT


def plain(record: Record) -> tuple[Any, ...]:
    said = json.loads(record.value or b"null")
    if isinstance(said, dict):
        said.pop("emitted_at", None)
    return record.key, said, list(record.headers)


async def test_the_topics_hold_the_same_whether_spans_are_made_or_not_and_however_records_are_batched(
    tmp_path: Path,
) -> None:
    found = []
    events = [(account, number, event(account, number)) for number in range(4) for account in ("acme", "zeta")]
    at_ms = now_ms()
    for spans, batch in ((True, 1), (False, 1_000), (True, 3)):
        traced = Traced()
        async with pipeline(None, traced.outbox if spans else None) as (log, workers):
            for place, (_, number, value) in enumerate(events):
                headers = carried(CONTEXT, None) if number % 2 else []
                log.append(TOPICS.product_events, b"u", value, at_ms + place, headers)
            await settle(workers, batch=batch)
            found.append(
                {name: [plain(one) for one in log.topics[name]] for name in (TOPICS.account_events, TOPICS.transitions)}
            )
        assert bool(traced.spans()) is spans
    assert found[0] == found[1] == found[2]
    assert found[0][TOPICS.transitions]


async def test_only_what_a_traced_record_led_to_carries_its_trace() -> None:
    async with pipeline(None, None) as (log, workers):
        publish(log, "untraced", 1)
        publish(log, "acme", 1, CONTEXT)
        publish(log, "later", 1)
        await settle(workers)
        moved = {one.key: context_of(one.headers) for one in log.topics[TOPICS.account_events] if one.key is not None}
        assert moved == {b"untraced": None, b"acme": CONTEXT.child("intake", 0, 1), b"later": None}
        led_to = {
            account: {context_of(one.headers) for one in log.topics[TOPICS.transitions] if one.key == account}
            for account in (b"untraced", b"acme", b"later")
        }
        offset = next(one.offset for one in log.topics[TOPICS.account_events] if one.key == b"acme")
        own = CONTEXT.child("intake", 0, 1).child("engagement", 0, offset)
        assert led_to == {b"untraced": {None}, b"acme": {own}, b"later": {None}}
        states = [dict(one.headers).get("tracestate") for one in log.topics[TOPICS.transitions] if one.key == b"acme"]
        assert set(states) == {b"vendor=1"}
        assert all(name != TRACEPARENT for one in log.topics[TOPICS.membership] for name, _ in one.headers)
