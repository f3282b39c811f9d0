"""What Pegel's own code wrote to the log in a test."""

from typing import Any

import pytest

from streams.log_events import LogEvent


def told(caplog: pytest.LogCaptureFixture, event: LogEvent) -> list[dict[str, Any]]:
    """The fields of each line of an event."""
    return [dict(one.args) for one in caplog.records if one.msg is event and isinstance(one.args, dict)]
