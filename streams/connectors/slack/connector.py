"""Posts to an incoming webhook."""

import msgspec

from schemas.playbook import Destination
from streams.connectors.contract import ConnectorType
from streams.connectors.dialects import Dialect
from streams.connectors.http import HttpTarget, Unanswered
from streams.connectors.message import Message
from streams.connectors.outcome import Outcome
from streams.connectors.slack.answers import outcome_of
from streams.connectors.slack.config import SlackConfig
from streams.connectors.slack.payload import payload_of


class SlackConnector:
    def __init__(self, config: SlackConfig) -> None:
        # A connection that stood idle may be closed just as it is used, and then nobody knows whether the message
        # got through. A webhook cannot tell a repeat, so each message has a connection of its own.
        self._target = HttpTarget(
            config.url.get_secret_value(),
            config.policy,
            config.timeout_s,
            in_flight_max=config.in_flight_max,
            keep_alive=False,
        )

    async def deliver(self, message: Message) -> Outcome:
        body = msgspec.json.encode(payload_of(message))
        answer = await self._target.post(body, {"Content-Type": "application/json; charset=utf-8"})
        if isinstance(answer, Unanswered):
            return answer.outcome()
        return outcome_of(answer, message.sent_at_ms)

    async def close(self) -> None:
        await self._target.close()


def _build(config: Destination) -> SlackConnector:
    assert isinstance(config, SlackConfig)
    return SlackConnector(config)


SLACK = ConnectorType("slack", SlackConfig, Dialect.SLACK, _build, deduplicates=False)
