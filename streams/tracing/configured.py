"""Whether spans go anywhere, by the settings and by OpenTelemetry's own variables."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from streams import log_events
from streams.errors import SettingsError
from streams.settings import TracingSettings
from streams.tracing.outbox import SpanOutbox

VARIABLES: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def address_of(tracing: TracingSettings, environment: Mapping[str, str]) -> str | None:
    """Where spans go; the setting comes first, and the variables can turn themselves off."""
    if tracing.endpoint is not None:
        return tracing.endpoint
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or environment.get("OTEL_TRACES_EXPORTER") == "none":
        return None
    return next((address for name in VARIABLES if (address := environment.get(name))), None)


def span_outbox(
    tracing: TracingSettings, environment: Mapping[str, str], service: str, instance: str | None = None
) -> SpanOutbox | None:
    """The way out for spans, begun; None where they have nowhere to go. Raises `SettingsError`."""
    address = address_of(tracing, environment)
    if address is None:
        return None
    try:
        from streams.tracing.otlp import otlp_exporter  # noqa: PLC0415 - who traces nothing needs no OpenTelemetry
    except ImportError as error:
        raise SettingsError(
            f"spans are to go to {_shown(address)}, but {error.name} is not installed; install pegel[tracing], or "
            f"unset tracing.endpoint and {VARIABLES[1]}"
        ) from None
    outbox = SpanOutbox(otlp_exporter(tracing.endpoint, service, instance))
    outbox.start()
    log_events.TRACING.tell(address=_shown(address))
    return outbox


def _shown(address: str) -> str:
    """Host and port: whatever else an address holds may be a secret."""
    try:
        parts = urlsplit(address)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
    except ValueError:
        return "an address that cannot be read"
