import asyncio
import logging

import pytest
from aiokafka.errors import MessageSizeTooLargeError

from streams.runtime.failure import FailReason, FailStop, RuntimeFailure, described
from streams.runtime.stage import StageFailure


def raised(error: BaseException) -> BaseException:
    try:
        raise error  # noqa: TRY301 - so that it has a traceback
    except BaseException as caught:  # noqa: BLE001
        return caught


async def test_the_first_failure_decides_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    failure = FailStop()
    with caplog.at_level(logging.CRITICAL):
        failure.fail(FailReason.STAGE, ValueError())
        failure.fail(FailReason.FLUSH, OSError("consequence"))
    assert failure.reason is FailReason.STAGE
    assert len(caplog.records) == 1
    assert await asyncio.wait_for(failure.wait(), 1) is FailReason.STAGE


async def test_a_failure_is_sticky() -> None:
    failure = FailStop()
    failure.check()
    failure.fail(FailReason.STAGE, ValueError())
    for _ in range(2):
        with pytest.raises(RuntimeFailure, match="stage"):
            failure.check()


def test_an_exceptions_text_that_may_quote_an_event_is_not_shown() -> None:
    text = described(raised(KeyError("jane@example.com")))
    assert "jane" not in text
    assert "KeyError" in text
    assert "test_failure.py" in text


@pytest.mark.parametrize(
    "error",
    [StageFailure("half of it was refused"), RuntimeFailure("a batch was lost"), MessageSizeTooLargeError("2 MiB")],
)
def test_texts_of_our_own_and_of_the_client_are_shown(error: Exception) -> None:
    assert str(error) in described(raised(error))


def test_what_caused_an_error_is_told_too() -> None:
    error = StageFailure("no more")
    error.__cause__ = raised(ValueError("secret"))
    text = described(raised(error))
    assert "no more" in text
    assert "ValueError" in text
    assert "secret" not in text
