"""The console."""

import io

from streams.connectors.console.connector import ConsoleConnector, line_of
from streams.connectors.outcome import OutcomeKind
from tests.unit.connectors.kit import message


async def test_a_message_is_one_line() -> None:
    stream = io.StringIO()
    outcome = await ConsoleConnector(stream).deliver(message(title="acme: at risk", body="one\ntwo"))
    assert outcome.kind is OutcomeKind.OK
    assert stream.getvalue() == "2026-03-01T12:34:58.000Z\tacme\tacme: at risk\tone / two\n"


def test_no_terminal_code_gets_through() -> None:
    line = line_of(message(title="\x1b[2Jacme\tx\r", body="\x07a\u202eb\nc"))
    assert line == "2026-03-01T12:34:58.000Z\tacme\t [2Jacme x \t a b / c"


class Broken(io.StringIO):
    def write(self, _: str) -> int:
        raise BrokenPipeError


async def test_a_reader_that_went_away_is_a_destination_that_is_unwell() -> None:
    closed = io.StringIO()
    closed.close()
    for stream in (Broken(), closed):
        outcome = await ConsoleConnector(stream).deliver(message())
        assert (outcome.kind, outcome.detail) == (OutcomeKind.RETRY_DESTINATION, "cannot_write")
