"""What a person reads fits the terminal and says what to do; what a machine reads has stable keys."""

import json

from streams.doctor.checks import Checked, fail, ok
from streams.doctor.report import as_json, as_table, summary

CHECKED = (
    Checked("topics", ok("all 13 topics")),
    Checked("positions", fail("the offset was moved beyond the state, " * 4, "put it back")),
)


def test_lines_fit_the_terminal_and_a_fix_stands_below_its_reason() -> None:
    lines = list(as_table(CHECKED, 80))
    assert max(map(len, lines)) <= 80
    assert lines[0] == "ok    topics     all 13 topics"
    assert lines[1].startswith("fail  positions  the offset")
    assert lines[-1] == "                 -> put it back"


def test_machines_get_a_line_a_check() -> None:
    assert [json.loads(line)["level"] for line in as_json(CHECKED)] == ["ok", "fail"]
    assert json.loads(next(as_json(CHECKED))) == {
        "check": "topics", "level": "ok", "reason": "all 13 topics", "fix": "",
    }  # fmt: skip
    assert summary(CHECKED) == "1 ok, 0 warnings, 1 failures"
