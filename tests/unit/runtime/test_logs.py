"""A line is a line, says what it may, and repeats itself once in a while."""

import io
import json
import logging
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import log_events
from streams.log_events import KINDS_MAX, PAUSE_S, LogEvent, Pauses
from streams.runtime import logs
from streams.runtime.logs import ITEMS_MAX, LINE_CHARS_MAX, JsonFormatter, PauseFilter, TextFormatter
from streams.settings import LogFormat, LogLevel

HOSTILE = st.one_of(
    st.text(),
    st.sampled_from(
        ["\n", "\r\n", "\x1b[2J", "\u2028", "\x85", "\x00", "\ud800", "%s %(x)d {} ", '"}\n{"level":"info"']
    ),
    st.integers(min_value=10_000, max_value=200_000).map(lambda size: "\U0001f4a3" * size),
)
SAYING = LogEvent("saying", logging.INFO, "it says %(reason)s", "", more=("stack",))


def record(message: object, *arguments: object, name: str = "aiokafka", error: BaseException | None = None) -> Any:
    info = None if error is None else (type(error), error, error.__traceback__)
    return logging.LogRecord(name, logging.ERROR, "", 0, message, arguments, info)


def said(reason: object, **more: object) -> Any:
    return record(SAYING, {"reason": reason, **more}, name="streams")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def restored() -> Iterator[None]:
    root, hooks, for_machines = logging.getLogger(), (sys.excepthook, threading.excepthook), log_events.for_machines
    handlers, level, own = root.handlers[:], root.level, log_events.LOGGER.level
    yield
    root.handlers[:], root.level = handlers, level
    sys.excepthook, threading.excepthook = hooks
    log_events.for_machines = for_machines
    logging.captureWarnings(capture=False)
    log_events.LOGGER.setLevel(own)
    for name in logs.CHATTY:
        logging.getLogger(name).setLevel(logging.NOTSET)


@given(HOSTILE)
def test_whatever_a_field_holds_a_line_is_one_json_object_of_bounded_size(text: str) -> None:
    line = JsonFormatter("intake").format(said(text, stack=[text] * 1_000))
    assert line.isascii()
    assert len(line.splitlines()) == 1
    assert len(line) <= LINE_CHARS_MAX
    assert json.loads(line)["event"] == "saying"


@given(HOSTILE)
def test_whatever_a_field_holds_a_line_for_eyes_is_one_line_that_steers_no_terminal(text: str) -> None:
    line = TextFormatter("intake").format(said(text, stack=[text] * 1_000))
    assert line.isprintable()
    assert len(line.splitlines()) == 1


@given(HOSTILE)
def test_what_a_library_writes_is_one_line_too(text: str) -> None:
    for shown in (JsonFormatter("intake").format(record(text)), TextFormatter("intake").format(record("%s", text))):
        assert len(shown.splitlines()) == 1


def test_a_line_says_when_who_what_and_the_fields_apart() -> None:
    at = said("so", stack=["a.py:1 f"])
    at.created = 1_772_368_497.12
    assert json.loads(JsonFormatter("intake").format(at)) == {
        "ts": "2026-03-01T12:34:57.120Z",
        "level": "error",
        "stage": "intake",
        "event": "saying",
        "message": "it says so",
        "reason": "so",
        "stack": ["a.py:1 f"],
    }
    assert TextFormatter("intake").format(at) == "2026-03-01T12:34:57.120Z ERROR [intake] it says so at a.py:1 f"


def test_a_list_is_cut_and_a_number_that_json_does_not_know_is_a_text() -> None:
    line = json.loads(JsonFormatter("intake").format(said(float("inf"), stack=["x"] * (ITEMS_MAX + 1))))
    assert line["reason"] == "inf"
    assert len(line["stack"]) == ITEMS_MAX


def test_a_field_that_is_no_plain_value_is_named_by_its_type() -> None:
    line = JsonFormatter("intake").format(said("so", stack={"jane@example.com"}))
    assert json.loads(line)["stack"] == "set"


def test_a_line_that_cannot_be_written_says_so_and_ends_nobody() -> None:
    line = json.loads(JsonFormatter("intake").format(record("%d records", "many")))
    assert line["message"] == "a line could not be written: TypeError"


def test_of_a_librarys_exception_the_text_is_shown_only_where_it_can_quote_no_event() -> None:
    try:
        raise KeyError("jane@example.com")  # noqa: TRY301 - so that it has a place
    except KeyError as error:
        caught = error
    for formatter in (JsonFormatter("router"), TextFormatter("router")):
        line = formatter.format(record("crashed: %r", caught, name="mode", error=caught))
        assert "jane" not in line
        assert "KeyError" in line
    assert "test_logs.py" in line or "stack" in line
    assert "no route" in JsonFormatter("router").format(record("%s", OSError("no route")))


def test_of_a_librarys_message_what_follows_the_first_line_is_left_out() -> None:
    line = JsonFormatter("router").format(
        record("never retrieved\nfuture: <exception=ValueError('jane')>", name="asyncio")
    )
    assert json.loads(line)["message"] == "never retrieved"


def test_lines_of_a_kind_pass_once_in_a_pause_and_the_next_one_says_how_many_did_not() -> None:
    now = [100.0]
    pauses = Pauses(lambda: now[0])
    assert [pauses.pass_on("a", 10) for _ in range(5)] == [0, None, None, None, None]
    assert pauses.pass_on("b", 10) == 0
    now[0] += 10
    assert pauses.pass_on("a", 10) == 4
    assert pauses.pass_on("a", 10) is None


def test_so_many_kinds_are_told_apart_and_no_more() -> None:
    pauses = Pauses(lambda: 0.0)
    for kind in range(2 * KINDS_MAX):
        pauses.pass_on(kind, 10)
    assert len(pauses) == KINDS_MAX
    assert pauses.pass_on(2 * KINDS_MAX - 1, 10) is None


def test_the_client_repeats_itself_once_in_a_while_and_says_how_often_it_did() -> None:
    now = [100.0]
    pause = PauseFilter(Pauses(lambda: now[0]))
    assert [pause.filter(record("cannot connect to %s", node)) for node in range(5)] == [True] + [False] * 4
    assert pause.filter(record("another %s", 1))
    now[0] += PAUSE_S
    later = record("cannot connect to %s", 9)
    assert pause.filter(later)
    assert json.loads(JsonFormatter("intake").format(later))["left_out"] == 4
    assert TextFormatter("intake").format(later).endswith("cannot connect to 9 (and 4 more like this)")


def test_an_event_with_a_pause_is_told_apart_by_its_fields(caplog: pytest.LogCaptureFixture) -> None:
    paused = LogEvent("paused_in_a_test", logging.ERROR, "%(reason)s", "", pause_s=3_600, per=("reason",))
    for reason in ("a", "a", "b", "a"):
        paused.tell(reason=reason)
    assert caplog.messages == ["a", "b"]


def test_our_own_lines_without_a_pause_all_pass() -> None:
    pause = PauseFilter()
    assert all(pause.filter(said("so")) for _ in range(3))


@pytest.mark.parametrize(
    ("wanted", "out", "is_json"),
    [
        (LogFormat.AUTO, Terminal(), False),
        (LogFormat.AUTO, io.StringIO(), True),
        (LogFormat.JSON, Terminal(), True),
        (LogFormat.TEXT, io.StringIO(), False),
    ],
)
def test_auto_is_text_at_a_terminal_and_json_elsewhere(
    wanted: LogFormat, out: io.StringIO, *, is_json: bool, restored: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", out)
    logs.configure("intake", wanted)
    log_events.STOPPED.tell()
    [line] = out.getvalue().splitlines()
    assert line.startswith("{") is is_json


def test_transitions_and_deliveries_are_told_at_debug_alone(restored: None, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"transition_id": "t", "direction": "entered", "segment": "s", "trigger": "record"}
    for level, lines in ((LogLevel.INFO, 0), (LogLevel.DEBUG, 1)):
        out = io.StringIO()
        monkeypatch.setattr(sys, "stderr", out)
        logs.configure("engagement", LogFormat.JSON, level)
        log_events.TRANSITION.tell(**told)
        assert len(out.getvalue().splitlines()) == lines


@pytest.mark.parametrize(
    "code",
    [
        "{}['jane@example.com']",
        "import threading as t; t.Thread(target={}.pop, args=['jane@example.com']).start(); raise SystemExit(1)",
        "__import__('asyncio').run(__import__('asyncio').sleep({}['jane@example.com']))",
    ],
)
def test_an_error_that_nobody_caught_is_one_line_that_quotes_nothing(code: str) -> None:
    program = f"from streams.runtime import logs; logs.configure('intake'); {code}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    [line] = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.returncode == 1
    assert (line["event"], line["error"]) == ("unhandled", "KeyError")
    assert line["stack"]
    assert "jane" not in done.stderr


def test_a_warning_of_pythons_is_one_line(restored: None, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    logs.configure("intake")
    warnings.warn("old", DeprecationWarning, stacklevel=1)
    [line] = [json.loads(line) for line in out.getvalue().splitlines()]
    assert (line["logger"], "old" in line["message"]) == ("py.warnings", True)


def test_a_worker_that_cannot_start_says_so_in_its_log_each_fault_in_a_line(tmp_path: Path) -> None:
    catalog = tmp_path / "ours.yaml"
    catalog.write_text("format: 1\nname: ours\nsegments: [{id: a, when: nothing}, {id: b, when: nobody}]\n")
    command = [sys.executable, "-c", "from streams.cli import main; main()", "worker", "engagement", "--log-format"]
    variables = {**os.environ, "PEGEL_ENGAGEMENT__CATALOG": str(catalog)}
    for shape in ("json", "text"):
        done = subprocess.run([*command, shape], capture_output=True, text=True, env=variables, check=False)
        assert done.returncode == 4
        if shape == "json":
            faults = [one for line in done.stderr.splitlines() if (one := json.loads(line))["event"] == "cannot_go_on"]
            assert len([one for one in faults if str(catalog) in one["reason"]]) == 2
        else:
            assert "\npegel: " in done.stderr
