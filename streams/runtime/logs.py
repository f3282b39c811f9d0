"""A worker's log: standard error, one line an event, never a payload.

Theory of operation. Pegel's own lines are the events of `streams.log_events`. A line is JSON (`log.format: json`), or
for eyes (`text`); `auto` takes text at a terminal.

    {"ts":"2026-03-01T12:34:57.120Z","level":"info","stage":"engagement","event":"loaded","message":"loaded 4 ...",
     "partitions":4,"rows":1200,"seconds":0.4}

Whatever a field holds, a line is a line: control characters are escaped, and texts, lists and the line itself are cut
at a limit. What was cut short ends in an ellipsis.

An error that nobody caught, and a warning of Python's, are lines too.

Libraries (Faust, mode, aiokafka, asyncio, OpenTelemetry) speak up only when something is wrong: at a lower level they
describe every step, and Faust prints messages it waits for. Theirs is the event `client`, with the logger's name. Of
their text the first line is kept, and an exception in it is named by its type, unless nothing in its text can be an
event's (`streams.runtime.failure`). While a broker is away the Kafka client says so fifty times a second: of lines of
one kind one is written every ten seconds.
"""

import json
import logging
import math
import sys
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final

from schemas.timestamps import format_ms
from streams import log_events
from streams.log_events import CLIENT, LEFT_OUT, PAUSE_S, LogEvent, Pauses
from streams.runtime.failure import named, places
from streams.settings import LogFormat, LogLevel

CHATTY: Final = (
    "faust",
    "mode",
    "aiokafka",
    "asyncio",
    "opentelemetry",
    "urllib3",
    # mode writes the comings and goings of services to the log of the module that defines them
    "streams.runtime.faust_app",
    "streams.runtime.transport",
)
MESSAGE_CHARS_MAX: Final = 1_000
TEXT_CHARS_MAX: Final = 500
ITEMS_MAX: Final = 200
LINE_CHARS_MAX: Final = 16_384
CUT: Final = "…"


class PauseFilter(logging.Filter):
    """Lets one line of a kind - logger and template - of a library pass in ``PAUSE_S`` seconds."""

    def __init__(self, pauses: Pauses | None = None) -> None:
        super().__init__()
        self._pauses = Pauses() if pauses is None else pauses

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.msg, LogEvent):
            return True
        left_out = self._pauses.pass_on((record.name, str(record.msg)[:TEXT_CHARS_MAX]), PAUSE_S)
        setattr(record, LEFT_OUT, left_out)
        return left_out is not None


class _LineFormatter(logging.Formatter):
    """One line for a record. It never raises: a log that fails must not end a worker."""

    def __init__(self, stage: str) -> None:
        super().__init__()
        self._stage = stage

    def format(self, record: logging.LogRecord) -> str:
        try:
            return self.line(record, *_said(record))
        except Exception as error:  # noqa: BLE001 - see above; the line says what went wrong with it
            return self.line(record, f"a line could not be written: {type(error).__name__}", {})

    def line(self, record: logging.LogRecord, message: str, fields: Mapping[str, Any]) -> str:
        raise NotImplementedError


class JsonFormatter(_LineFormatter):
    def line(self, record: logging.LogRecord, message: str, fields: Mapping[str, Any]) -> str:
        head = {
            "ts": format_ms(int(record.created * 1_000)),
            "level": record.levelname.lower(),
            "stage": self._stage,
            "event": record.msg.name if isinstance(record.msg, LogEvent) else CLIENT,
            "message": message,
        }
        line = _encoded({**head, **fields})
        if len(line) <= LINE_CHARS_MAX:
            return line
        # So long only if most of it needed escapes: what tells the event is kept.
        return _encoded({**head, "message": message[:TEXT_CHARS_MAX] + CUT})


class TextFormatter(_LineFormatter):
    def line(self, record: logging.LogRecord, message: str, fields: Mapping[str, Any]) -> str:
        moment = format_ms(int(record.created * 1_000))
        place = "" if isinstance(record.msg, LogEvent) else f"{record.name}: "
        left_out = f" (and {fields[LEFT_OUT]} more like this)" if fields.get(LEFT_OUT) else ""
        stack = f" at {' < '.join(fields['stack'])}" if fields.get("stack") else ""
        line = f"{moment} {record.levelname} [{self._stage}] {place}{message}{left_out}{stack}"
        return _one_line(_cut(line, LINE_CHARS_MAX))


def _said(record: logging.LogRecord) -> tuple[str, dict[str, Any]]:
    """A record's text and fields, all within their limits."""
    if isinstance(record.msg, LogEvent):
        fields = dict(record.args) if isinstance(record.args, Mapping) else {}
        return _cut(record.getMessage(), MESSAGE_CHARS_MAX), {
            name: _bounded(value) for name, value in fields.items() if value is not None
        }
    arguments = record.args if isinstance(record.args, Mapping) else tuple(_harmless(one) for one in record.args or ())
    message = str(record.msg) % arguments if arguments else str(record.msg)
    said: dict[str, Any] = {"logger": record.name}
    if (left_out := getattr(record, LEFT_OUT, None)) is not None and left_out:
        said[LEFT_OUT] = left_out
    if record.exc_info is not None and record.exc_info[1] is not None:
        error = record.exc_info[1]
        said |= {"error": _bounded(named(error)), "stack": _bounded(places(error))}
    return _cut(message.partition("\n")[0], MESSAGE_CHARS_MAX), said


def _harmless(argument: object) -> object:
    return named(argument) if isinstance(argument, BaseException) else argument


def _bounded(value: object) -> object:
    match value:
        case bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case str():
            return _cut(value, TEXT_CHARS_MAX)
        case list() | tuple():
            return [_bounded(one) for one in value[:ITEMS_MAX]]
        case _:
            return type(value).__name__


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + CUT


def _encoded(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=True, separators=(",", ":"))


def _one_line(text: str) -> str:
    """What would break a line, or steer a terminal, is escaped."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def hush() -> None:
    """After a failure: what Faust and the client have to say now are its consequences, with tracebacks."""
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _on_unhandled(kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    """What would be a traceback of many lines, with a text that may quote an event."""
    if not issubclass(kind, KeyboardInterrupt):
        log_events.UNHANDLED.tell(error=named(error), stack=places(error))


def _on_unhandled_in_thread(seen: threading.ExceptHookArgs) -> None:
    if seen.exc_value is not None:
        _on_unhandled(seen.exc_type, seen.exc_value, seen.exc_traceback)


def configure(stage: str, wanted: LogFormat = LogFormat.AUTO, level: LogLevel = LogLevel.INFO) -> None:
    """Write this process's log to standard error."""
    eyes = wanted is LogFormat.TEXT or (wanted is LogFormat.AUTO and sys.stderr.isatty())
    log_events.for_machines = not eyes
    out = logging.StreamHandler()
    out.setFormatter(TextFormatter(stage) if eyes else JsonFormatter(stage))
    out.addFilter(PauseFilter())
    logging.basicConfig(level=logging.INFO, handlers=[out], force=True)
    logging.captureWarnings(capture=True)
    sys.excepthook, threading.excepthook = _on_unhandled, _on_unhandled_in_thread
    logging.getLogger("streams").setLevel(level.upper())
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
