"""Sends calls in batches."""

from collections.abc import Sequence
from typing import Final
from uuid import uuid4

from schemas.playbook import Destination
from streams.connectors.batch_sink import Attempt, BatchSink, Limits
from streams.connectors.batches import NO_TRANSITION, Answered, Refused
from streams.connectors.contract import ConnectorType
from streams.connectors.credentials import basic
from streams.connectors.dialects import Dialect
from streams.connectors.http import HttpTarget, Unanswered
from streams.connectors.message import Message, MessageKind
from streams.connectors.outcome import Outcome, OutcomeKind
from streams.connectors.segment.answers import told
from streams.connectors.segment.config import SegmentConfig
from streams.connectors.segment.payload import Sent, batch_body, calls_of, test_call

PATH: Final = "/v1/batch"
BATCH_MAX: Final = 100
LIMITS: Final = Limits(entries_max=2_500, bytes_max=480_000, entry_bytes_max=32_000)
"""Segment takes 500 KB, of 32 KB each; there is something around them."""


NOBODY: Final = Outcome(OutcomeKind.REJECTED, "user_unknown")


class SegmentConnector(BatchSink[Sent]):
    def __init__(self, config: SegmentConfig) -> None:
        super().__init__(LIMITS, config.timeout_s)
        self._config = config
        self._target = HttpTarget(
            config.url,
            config.policy,
            config.timeout_s,
            in_flight_max=config.in_flight_max,
            keep_alive=True,
        )

    def __repr__(self) -> str:
        return "SegmentConnector()"

    def collect(self, messages: Sequence[Message]) -> tuple[Sequence[Sent], dict[int, Outcome]]:
        calls: list[Sent] = []
        without: dict[int, Outcome] = {}
        for place, message in enumerate(messages):
            if message.kind is MessageKind.TEST:
                continue
            if not message.transition and not message.items:
                without[place] = NO_TRANSITION
                continue
            made = [Sent(body, [place]) for body in calls_of(message, self._config)]
            if not made:
                without[place] = NOBODY
            calls += made
        return calls, without

    async def ask(self, entries: Sequence[Sent], attempt: Attempt) -> Answered:
        return await self._post([entry.body for entry in entries], attempt)

    async def check(self, attempt: Attempt) -> Outcome:
        """Send a call that is about nobody: whether a key is good is not said to anybody who sends nothing."""
        answer = await self._post([test_call(str(uuid4()))], attempt)
        return answer.outcome if isinstance(answer, Refused) else answer[0]

    def size(self, entry: Sent) -> int:
        return len(entry.body) + 1

    async def close(self) -> None:
        await self._target.close()

    async def _post(self, calls: Sequence[bytes], attempt: Attempt) -> Answered:
        headers = {
            "Authorization": basic(self._config.write_key.get_secret_value(), ""),
            "Content-Type": "application/json",
        }
        answer = await self._target.request("POST", PATH, batch_body(calls), headers, within_s=attempt.deadline.left_s)
        if isinstance(answer, Unanswered):
            return [answer.outcome()] * len(calls)
        return told(answer, len(calls), attempt.now_ms)


def _build(config: Destination) -> SegmentConnector:
    assert isinstance(config, SegmentConfig)
    return SegmentConnector(config)


SEGMENT = ConnectorType("segment", SegmentConfig, Dialect.PLAIN, _build, deduplicates=True, batch_max=BATCH_MAX)
