"""Spans have somewhere to go if the settings or OpenTelemetry's variables say so, and nobody else pays for it."""

import subprocess
import sys

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from schemas.trace import TraceContext
from streams.errors import SettingsError
from streams.settings import TracingSettings
from streams.tracing.configured import address_of, span_outbox
from streams.tracing.otlp import OtlpExporter
from streams.tracing.spans import Span, SpanKind

COLLECTOR = "http://collector:4318"
ON = {"OTEL_EXPORTER_OTLP_ENDPOINT": COLLECTOR}


@pytest.mark.parametrize(
    ("endpoint", "variables", "address"),
    [
        (None, {}, None),
        ("http://127.0.0.1:4318/v1/traces", {}, "http://127.0.0.1:4318/v1/traces"),
        ("http://127.0.0.1:4318/v1/traces", ON, "http://127.0.0.1:4318/v1/traces"),
        (None, ON, COLLECTOR),
        (None, {**ON, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://other/v1/traces"}, "http://other/v1/traces"),
        (None, {**ON, "OTEL_SDK_DISABLED": "true"}, None),
        (None, {**ON, "OTEL_TRACES_EXPORTER": "none"}, None),
        (None, {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, None),
    ],
)
def test_the_setting_comes_before_the_variables(
    endpoint: str | None, variables: dict[str, str], address: str | None
) -> None:
    assert address_of(TracingSettings(endpoint=endpoint), variables) == address


def test_without_an_address_there_is_no_way_out() -> None:
    assert span_outbox(TracingSettings(), {}, "pegel-intake") is None


def test_a_missing_package_is_named_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "streams.tracing.otlp", None)
    tracing = TracingSettings(endpoint="http://collector:4318/v1/traces?key=secret".partition("?")[0])
    with pytest.raises(SettingsError, match=r"install pegel\[tracing\]"):
        span_outbox(tracing, {}, "pegel-intake")


def test_an_address_shown_in_an_error_shows_no_secret_that_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "streams.tracing.otlp", None)
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://me:secret@collector:4318/token-secret"}
    with pytest.raises(SettingsError) as caught:
        span_outbox(TracingSettings(), variables, "pegel-intake")
    assert "collector:4318" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_who_traces_nothing_imports_nothing_of_opentelemetry() -> None:
    code = (
        "import sys; from streams.app import build_worker; from streams.settings import Settings;"
        "[build_worker(name, Settings()) for name in ('intake', 'engagement', 'router', 'courier')];"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_who_we_are_may_be_overruled_by_opentelemetrys_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    def resource() -> dict[str, object]:
        memory = InMemorySpanExporter()
        exporter = OtlpExporter(memory, "pegel-intake", "intake-0")
        exporter.export([Span("s", SpanKind.INTERNAL, TraceContext("1" * 32, "2" * 16), None, 0, 1)])
        [span] = memory.get_finished_spans()
        return dict(span.resource.attributes)

    assert resource()["service.name"] == "pegel-intake"
    assert resource()["service.instance.id"] == "intake-0"
    monkeypatch.setenv("OTEL_SERVICE_NAME", "ours")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=staging")
    assert resource()["service.name"] == "ours"
    assert resource()["deployment.environment.name"] == "staging"
