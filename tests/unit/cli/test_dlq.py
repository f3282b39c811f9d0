"""Laws of `pegel dlq`'s arguments and looks; what it does stands in tests/kafka/test_dlq_commands.py."""

import pytest

from schemas.dead_letter import Rejected, RejectReason
from streams.cli import run
from streams.cli.dlq import _dead_letter_topic, _line, _row, _selection, _value_lines
from streams.dead_letters.letters import Letter
from streams.dead_letters.marks import Action, Mark, Place
from streams.runtime.dead_letters import RefusedAt, dead_letter
from streams.settings import KafkaSettings, Settings
from tests.unit.notify.world import Record

SETTINGS = Settings(kafka=KafkaSettings(topic_prefix="t."))
NOW = 1_772_368_498_000


def letter(mark: Mark | None = None) -> Letter:
    record = Record(17, b"{", key=b"a\x1bb", headers=())
    output = dead_letter(record, Rejected(RejectReason.NOT_JSON, "why\x1b"), RefusedAt("intake", "s", 0, "s.dlq"))
    return Letter(Place("s.dlq", 2, 9), NOW, output.key, output.value, list(output.headers), mark)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["retry"], "say which"),
        (["drop", "--note", "x"], "say which"),
        (["list", "membership"], "membership has no dead letters; name product, account or transitions"),
        (["list", "--reason", "odd"], "--reason odd is none; there are: not_utf8"),
        (["retry", "--id", "product:x:1"], "--id product:x:1 is none; as in product:3:128"),
        (["list", "--since", "yesterday"], "--since yesterday is no time"),
        (["drop", "product"], "--note"),
    ],
)
def test_a_wrong_argument_is_told_before_kafka_is_asked(
    arguments: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["dlq", *arguments]) == 2
    assert said in " ".join(capfd.readouterr().err.split())


@pytest.mark.parametrize("name", ["product", "product.events.v1", "t.product.events.v1", "product.events.v1.dlq"])
def test_a_topic_is_named_in_any_way(name: str) -> None:
    assert _dead_letter_topic(SETTINGS, name) == "t.product.events.v1.dlq"


def test_without_a_topic_all_are_meant_and_with_ids_those_of_the_ids() -> None:
    assert len(_selection(SETTINGS, None, (), None, None, None).topics) == 3
    one = _selection(SETTINGS, None, ["account:1:2"], None, None, None)
    assert one.topics == ["t.account.events.v1.dlq"]
    assert one.places == {Place("t.account.events.v1.dlq", 1, 2)}


def test_a_line_moves_no_terminal_and_says_what_was_done() -> None:
    assert _line(letter()) == r"s.dlq:2:9  2026-03-01T12:34:58.000Z  open  not_json  a\x1bb  why\x1b"
    mark = Mark(Action.DROPPED, NOW, "2026-03-02T00:00:00.000Z", "ann", "old\n")
    assert r"dropped 2026-03-02T00:00:00.000Z by ann" in _line(letter(mark))
    assert _line(letter(mark)).endswith(r"# old\n")


def test_a_row_has_the_same_keys_whatever_lies_there() -> None:
    strange = Letter(Place("s.dlq", 2, 9), NOW, None, None, [])
    assert _row(strange).keys() == _row(letter()).keys()
    assert "no_dead_letter" in _line(strange)


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        (None, ["null"]),
        (b'{"a":1}', ["{", '  "a": 1', "}"]),
        (b'{"a":', ['{"a":']),
        (b"\xff", [f"{'00000000  ff':<57}  ."]),
        (b"[" * 9_000, ["[" * 9_000]),
    ],
)
def test_a_value_is_json_or_text_or_hex(value: bytes | None, lines: list[str]) -> None:
    assert list(_value_lines(value)) == lines


def test_a_long_value_is_cut_and_says_so() -> None:
    for value in (b"x" * 100_000, b"\xff" * 100_000, b"[" * 100_000):
        lines = list(_value_lines(value))
        assert sum(map(len, lines)) < 20_000
        assert "100000 bytes in all; --raw" in lines[-1]
