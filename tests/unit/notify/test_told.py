"""What the courier says in the log: ids that lead to a message, and nobody's name."""

import pytest

from schemas.inbox import CommandKind
from streams import log_events
from streams.connectors.outcome import Outcome, OutcomeKind, ok
from streams.notify.deliver.breaker import FAILURES_MAX, OPEN_FIRST_MS
from streams.notify.plan.delivery import delivery_id
from tests.unit.lines import told
from tests.unit.notify.harness import FakeConnector, Harness
from tests.unit.notify.world import raw

ID = delivery_id("team", "t-acme-1", "plain")


@pytest.fixture(autouse=True)
def _everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(log_events.DEBUG, logger="streams")


async def test_an_attempt_that_fails_and_one_that_arrives_name_the_delivery_and_its_transition(
    caplog: pytest.LogCaptureFixture,
) -> None:
    connector = FakeConnector(lambda _: Outcome(OutcomeKind.RETRY_RECORD, "409"))
    async with Harness({"team": connector}).worker() as h:
        await h.through(raw("acme", 1))
        connector.answer = lambda _: ok()
        await h.turn(after_ms=60_000)
        await h.turn()
    about = {"delivery_id": ID, "transition_id": "t-acme-1", "destination": "team", "play": "team"}
    assert told(caplog, log_events.NOT_DELIVERED) == [{**about, "attempt": 1, "reason": "retry_record"}]
    assert told(caplog, log_events.DELIVERED) == [{**about, "attempt": 2}]


async def test_a_destination_that_is_down_is_one_line_and_another_when_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    connector = FakeConnector(lambda _: Outcome(OutcomeKind.RETRY_DESTINATION, "503"))
    async with Harness({"team": connector}).worker() as h:
        await h.through(*(raw(f"account-{number}", 1) for number in range(3 * FAILURES_MAX)))
        for _ in range(4):
            await h.turn()
        assert told(caplog, log_events.BREAKER_OPENED) == [{"destination": "team", "seconds": OPEN_FIRST_MS // 1_000}]
        assert len(told(caplog, log_events.NOT_DELIVERED)) == 1, "one line for all that failed alike"
        connector.answer = lambda _: ok()
        for _ in range(4):
            await h.turn(after_ms=OPEN_FIRST_MS)
    assert told(caplog, log_events.BREAKER_CLOSED) == [{"destination": "team"}]


async def test_a_message_that_nobody_gets_is_a_refused_record_with_its_delivery(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Harness({"team": FakeConnector(lambda _: Outcome(OutcomeKind.REJECTED, "400"))}).worker() as h:
        await h.through(raw("acme", 1))
    [line] = told(caplog, log_events.RECORD_REFUSED)
    assert (line["delivery_id"], line["destination"], line["reason"]) == (ID, "team", "rejected")


async def test_a_command_is_told_without_who_gave_it(caplog: pytest.LogCaptureFixture) -> None:
    async with Harness({"team": FakeConnector()}).worker() as h:
        h.command(CommandKind.PAUSE, note="jane is on holiday")
        h.read()
    assert told(caplog, log_events.OBEYED) == [{"destination": "team", "command": "pause"}]


async def test_no_line_of_a_courier_names_an_account(caplog: pytest.LogCaptureFixture) -> None:
    kinds = iter([OutcomeKind.RETRY_RECORD, OutcomeKind.RETRY_DESTINATION, OutcomeKind.REJECTED, OutcomeKind.GONE])
    async with Harness({"team": FakeConnector(lambda _: Outcome(next(kinds), "why"))}).worker() as h:
        for number in range(4):
            await h.through(raw("hidden", number + 1, transition_id=f"t-{number}"))
            await h.turn(after_ms=60_000)
    assert caplog.records
    assert "hidden" not in caplog.text
