"""Posts Adaptive Cards to a workflow's webhook."""

from schemas.playbook import Destination
from streams.connectors.contract import ConnectorType
from streams.connectors.dialects import Dialect
from streams.connectors.http import HttpTarget, Unanswered
from streams.connectors.message import Message
from streams.connectors.outcome import Outcome
from streams.connectors.teams.answers import outcome_of
from streams.connectors.teams.config import TeamsConfig
from streams.connectors.teams.payload import payload_of


class TeamsConnector:
    def __init__(self, config: TeamsConfig) -> None:
        # A repeat cannot be told, and an idle connection may break just as it is used: each message has its own.
        self._target = HttpTarget(
            config.url.get_secret_value(),
            config.policy,
            config.timeout_s,
            in_flight_max=config.in_flight_max,
            keep_alive=False,
        )

    async def deliver(self, message: Message) -> Outcome:
        # The character set matters: without it Teams counts the body's characters twice.
        answer = await self._target.post(payload_of(message), {"Content-Type": "application/json; charset=utf-8"})
        if isinstance(answer, Unanswered):
            return answer.outcome()
        return outcome_of(answer, message.sent_at_ms)

    async def close(self) -> None:
        await self._target.close()


def _build(config: Destination) -> TeamsConnector:
    assert isinstance(config, TeamsConfig)
    return TeamsConnector(config)


TEAMS = ConnectorType("teams", TeamsConfig, Dialect.PLAIN, _build, deduplicates=False)
