"""Customer.io's Track API, version 2, over HTTP."""

from collections.abc import Sequence
from typing import Final

from streams.connectors.batch_sink import Attempt, Limits
from streams.connectors.batches import Answered
from streams.connectors.credentials import basic
from streams.connectors.customerio.answers import UNREADABLE, failure_of, told
from streams.connectors.customerio.config import CustomerioAccess
from streams.connectors.customerio.payload import batch_body
from streams.connectors.http import Answer, HttpTarget, Unanswered
from streams.connectors.outcome import Outcome, OutcomeKind, ok

BATCH_PATH: Final = "/api/v2/batch"
REGION_PATH: Final = "/api/v1/accounts/region"
"""Answers to whoever has credentials, and changes nothing."""
ANSWER_BYTES_MAX: Final = 256 << 10
BATCH_MAX: Final = 100
LIMITS: Final = Limits(entries_max=BATCH_MAX, bytes_max=480_000, entry_bytes_max=32_000)
"""Customer.io takes 500 KB, of 32 KB each; there is something around them."""


class CustomerioApi:
    def __init__(self, config: CustomerioAccess) -> None:
        authorization = basic(config.site_id.get_secret_value(), config.api_key.get_secret_value())
        self._headers = {"Authorization": authorization, "Content-Type": "application/json"}
        self._target = HttpTarget(
            config.url,
            config.policy,
            config.timeout_s,
            in_flight_max=config.in_flight_max,
            keep_alive=True,
            answer_bytes_max=ANSWER_BYTES_MAX,
        )

    def __repr__(self) -> str:
        return "CustomerioApi()"

    async def send(self, entries: Sequence[bytes], attempt: Attempt) -> Answered:
        answer = await self._asked("POST", BATCH_PATH, batch_body(entries), attempt)
        if isinstance(answer, Unanswered):
            return [answer.outcome()] * len(entries)
        return told(answer, len(entries), attempt.now_ms)

    async def check(self, attempt: Attempt) -> Outcome:
        """Whether the credentials are good."""
        answer = await self._asked("GET", REGION_PATH, None, attempt)
        if isinstance(answer, Unanswered):
            return answer.outcome()
        failed = failure_of(answer, attempt.now_ms)
        if failed is not None:
            return failed
        return ok() if b"region" in answer.body else Outcome(OutcomeKind.RETRY_DESTINATION, UNREADABLE)

    async def close(self) -> None:
        await self._target.close()

    async def _asked(self, method: str, path: str, body: bytes | None, attempt: Attempt) -> Answer | Unanswered:
        return await self._target.request(method, path, body, self._headers, within_s=attempt.deadline.left_s)
