"""Traces of one event from `pegel publish` to Slack, by real workers on real Kafka, at a collector in memory."""

import asyncio
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from schemas.timestamps import format_ms
from schemas.trace import parse
from streams import log_events
from streams.settings import Settings
from streams.topics import Topics
from tests.kafka.workers import pegel, wait_for, workers
from tests.providers.server import Ask, ProviderServer, Reply, Route
from tests.providers.slack import HOOK, SlackApi
from tests.providers.webhook import SECRET
from tests.unit.tracing.pipeline import now_ms
from tests.unit.tracing.tree import Seen, Tree, require_sound, tree_of

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

PLAYBOOK = """\
format: 1
name: test
destinations:
  - {id: team, type: slack, url: "${TEAM_URL}", allow_http: true}
  - {id: ours, type: webhook, url: "${OURS_URL}", secret: "${OURS_SECRET}", allow_http: true}
templates:
  plain: {title: "{{ account }}", body: "{{ segment }}"}
plays:
  - {id: greet, segment: new_trial, template: plain, destination: team}
  - {id: tell, segment: new_trial, template: plain, destination: ours}
"""
STAGES = ("intake", "engagement", "router", "courier")
KINDS = {2: "server", 3: "client", 4: "producer", 5: "consumer", 1: "internal"}


class Collector:
    """What an OpenTelemetry collector takes, kept in memory."""

    def __init__(self) -> None:
        self.spans: list[Seen] = []

    def routes(self) -> list[Route]:
        return [Route("traces", "POST", "/v1/traces", self._take), Route("ours", "POST", "/ours", lambda _: Reply())]

    def _take(self, ask: Ask) -> Reply:
        request = ExportTraceServiceRequest.FromString(ask.body)
        self.spans += _spans(request)
        return Reply()

    def of(self, trace_id: str) -> list[Seen]:
        return [one for one in self.spans if one.trace_id == trace_id]


def _spans(request: Any) -> Iterator[Seen]:
    for resource in request.resource_spans:
        [service] = [one.value.string_value for one in resource.resource.attributes if one.key == "service.name"]
        for span in (one for scope in resource.scope_spans for one in scope.spans):
            yield Seen(
                name=span.name,
                trace_id=span.trace_id.hex(),
                span_id=span.span_id.hex(),
                parent_id=span.parent_span_id.hex() or None,
                kind=KINDS[span.kind],
                start_ns=span.start_time_unix_nano,
                end_ns=span.end_time_unix_nano,
                attributes={one.key: one.value.string_value or one.value.int_value for one in span.attributes},
                failed=span.status.code == 2,
                service=service,
            )


def event(account: str) -> bytes:
    said = {
        "type": "track", "event": "report_created", "messageId": f"m-{account}", "userId": "jane@example.com",
        "receivedAt": format_ms(now_ms()), "context": {"groupId": account},
    }  # fmt: skip
    return json.dumps(said).encode() + b"\n"


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for stage in STAGES for line in (folder / f"{stage}.log").read_text().splitlines()]


def published(deployment: Settings, account: str, *options: str) -> str:
    done = pegel(deployment, "publish", "-", *options, stdin=event(account))
    assert done.returncode == 0, done.stderr.decode()
    return done.stderr.decode()


async def test_an_event_that_is_published_with_a_trace_is_one_tree_up_to_slack_and_another_none(
    deployment: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector, slack, topics = Collector(), SlackApi(), Topics(deployment.kafka.topic_prefix)
    (tmp_path / "playbook.yaml").write_text(PLAYBOOK)
    async with ProviderServer(collector, slack) as server:
        monkeypatch.setenv("PEGEL_TRACING__ENDPOINT", server.url("/v1/traces"))
        monkeypatch.setenv("PEGEL_INTAKE__ALIGNMENT_MS", "0")
        env = {
            "PEGEL_NOTIFY__PLAYBOOKS": str(tmp_path / "playbook.yaml"),
            "TEAM_URL": server.url(HOOK),
            "OURS_URL": server.url("/ours"),
            "OURS_SECRET": SECRET,
        }

        def run() -> str:
            with workers(deployment, tmp_path, env, *STAGES) as running:
                said = published(deployment, "acme", "--trace", "1")
                [trace_id] = [line.rpartition(": ")[2] for line in said.splitlines() if "traces" in line]
                courier = running["courier"]
                wait_for(lambda: len(server.asked("ours")) == 1, courier)
                wait_for(lambda: len(slack.hook.messages) == 1, courier)
                slack.clock.advance(10)
                published(deployment, "untraced")
                wait_for(lambda: len(server.asked("ours")) == 2, courier)
            return trace_id

        trace_id = await asyncio.to_thread(run)

    spans = collector.of(trace_id)
    require_sound(spans)
    assert collector.spans == spans, "an event without a trace has spans"
    heard: list[Tree] = [
        {f"process {topics.inbox}": [{f"deliver {name}": []}, {f"plan {name}": []}]} for name in ("ours", "team")
    ]
    [root] = tree_of(spans)
    [intake] = root[f"send {topics.product_events}"]
    [engagement] = intake[f"process {topics.product_events}"]
    routed = [one[f"process {topics.transitions}"] for one in engagement[f"process {topics.account_events}"]]
    assert [sorted(one, key=str) for one in routed if one] == [heard]
    assert {one.service for one in spans} == {"pegel-publish", *(f"pegel-{stage}" for stage in STAGES)}
    assert not [one for one in spans if one.failed]

    ours, later = server.asked("ours")
    context = parse(ours.headers["traceparent"].encode())
    assert context is not None
    assert context.span_id == next(one.span_id for one in spans if one.name == "deliver ours")
    assert "traceparent" not in later.headers
    assert all("traceparent" not in ask.headers for ask in server.asked("webhook"))
    require_told(lines(tmp_path))


def require_told(logs: Iterable[dict[str, Any]]) -> None:
    """Every line is JSON of a known event, and none names anybody."""
    told = list(logs)
    assert {line["event"] for line in told} <= {*log_events.EVENTS, log_events.CLIENT}
    assert {line["stage"] for line in told} == set(STAGES)
    for event_name in ("worker_starts", "pages_served", "tracing", "loaded", "ready", "stopped"):
        assert sum(line["event"] == event_name for line in told) >= len(STAGES), event_name
    assert not [line for line in told if any(who in str(line) for who in ("acme", "untraced", "jane"))]
