"""docs/logs-and-traces.md, and the log calls in the tree: nothing is said that the page does not list."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from schemas.action import Reason
from schemas.trace import TRACESTATE_BYTES_MAX
from streams import log_events
from streams.log_events import CLIENT, EVENTS, FIELDS, KINDS_MAX, LEFT_OUT, PAUSE_S, LogEvent
from streams.log_page import PAGE, fields_of, with_tables
from streams.runtime.logs import ITEMS_MAX, LINE_CHARS_MAX, TEXT_CHARS_MAX
from streams.tracing import outbox, spans, writer
from streams.tracing.otlp import TIMEOUT_S

ROOT: Final = Path(__file__).parents[3]
TEXT: Final = PAGE.read_text(encoding="utf-8")
HEAD: Final = {"ts", "level", "stage", "event", "message", "logger"}
PERSONAL: Final = re.compile(
    r"account|user|mail|person|owner|payload|value|key|header|secret|password|token|trait|body|by$"
)
LOGGING: Final = {
    "streams/log_events.py",
    "streams/log_page.py",
    "streams/runtime/logs.py",
    "streams/asyncapi/story.py",  # silences, says nothing
    "streams/kafka_client.py",  # silences librdkafka
    "streams/security/access.py",  # hides logins
}
"""Who may know the standard library's logging."""


def trees() -> Iterator[tuple[str, ast.Module]]:
    for file in sorted((ROOT / "streams").rglob("*.py")):
        yield str(file.relative_to(ROOT)), ast.parse(file.read_text(encoding="utf-8"))


def told() -> Iterator[tuple[str, ast.Call]]:
    """Calls of `log_events.NAME.tell(...)`."""
    for file, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (
                event := re.fullmatch(r"log_events\.(\w+)\.tell", ast.unparse(node.func))
            ):
                yield f"{file}:{node.lineno} {event[1]}", node


def test_the_tables_are_current() -> None:
    assert with_tables(TEXT) == TEXT, "python -m streams.log_page"


def test_nobody_writes_to_the_log_but_through_the_events() -> None:
    found = {
        file
        for file, tree in trees()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Import) and any(one.name.split(".")[0] == "logging" for one in node.names))
        or (isinstance(node, ast.ImportFrom) and node.module == "logging")
    }
    assert found == LOGGING


def test_every_line_has_just_the_fields_of_its_event() -> None:
    used = set()
    for place, call in told():
        event = getattr(log_events, place.rpartition(" ")[2])
        assert isinstance(event, LogEvent)
        assert not call.args, place
        assert sorted(str(one.arg) for one in call.keywords) == sorted(fields_of(event)), place
        used.add(event.name)
    assert used == set(EVENTS), "an event that nobody tells"


def test_every_field_is_explained_and_none_can_name_anybody() -> None:
    used = {name for event in EVENTS.values() for name in fields_of(event)}
    assert used | {LEFT_OUT} == set(FIELDS)
    assert not used & HEAD
    assert [name for name in FIELDS if PERSONAL.search(name)] == []
    assert list(FIELDS) == sorted(FIELDS)


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS.keys())
def test_an_event_can_be_said(event: LogEvent) -> None:
    fields = dict.fromkeys(fields_of(event), 1)
    said = event.text % fields if fields else event.text
    assert said
    assert "%" not in said
    assert event.name == event.name.lower() != CLIENT
    assert set(event.per) <= set(fields)
    assert event.meaning.endswith(".")


def test_the_example_is_a_line() -> None:
    [line] = re.findall(r"^```json\n(.*?)\n```$", TEXT, re.MULTILINE)
    shown = json.loads(line)
    event = EVENTS[shown["event"]]
    fields = {name: shown[name] for name in fields_of(event)}
    assert event.text % fields == shown["message"]
    assert shown.keys() == {*fields, *HEAD - {"logger"}}


def test_the_limits_are_those_of_the_program() -> None:
    said = " ".join(TEXT.split())
    for sentence in (
        f"cut at {TEXT_CHARS_MAX} characters, a list at {ITEMS_MAX} entries, a line at {LINE_CHARS_MAX // 1024} KiB",
        f"{KINDS_MAX} kinds are told apart",
        f"{spans.ITEMS_MAX} at most",
        f"links to those of {spans.LINKS_MAX} more",
        f"A text is cut at {spans.TEXT_CHARS_MAX} characters",
        f"if that has {TRACESTATE_BYTES_MAX} bytes at most",
        f"{writer.NOTED_MAX} records of a flush have spans, {outbox.QUEUED_MAX:,} spans wait for the collector",
        f"not taken in {TIMEOUT_S:.0f} s",
        f"{outbox.CLOSE_S:.0f} s at most",
    ):
        assert sentence in said
    assert PAUSE_S == 10
    assert {"planned", "grouped", "quiet_hours", "holdout"} <= {one.value for one in Reason}


def test_the_attributes_are_those_that_spans_have() -> None:
    table = TEXT.split("| attribute |", 1)[1].split("\n\n", 1)[0]
    named = {name for line in table.splitlines()[2:] for name in re.findall(r"`([\w.]+)`", line.split("|")[1])}
    source = "".join(
        (ROOT / file).read_text(encoding="utf-8")
        for file in ("streams/tracing/spans.py", "streams/tracing/writer.py", "streams/tracing/otlp.py",
                     "streams/notify/courier/tracing.py")
    )  # fmt: skip
    assert named == set(re.findall(r'"((?:pegel|messaging|error)\.[\w.]+)"', source))
