"""Salesforce over HTTP: paths, the session, and one more try when it has ended."""

from typing import Final
from urllib.parse import quote

from streams.connectors.deadline import Deadline
from streams.connectors.http import Answer, HttpTarget, Unanswered
from streams.connectors.outcome import Outcome
from streams.connectors.salesforce.answers import session_ended
from streams.connectors.salesforce.config import SalesforceAccess
from streams.connectors.salesforce.session import Session

ANSWER_BYTES_MAX: Final = 1 << 20


class SalesforceApi:
    def __init__(self, config: SalesforceAccess) -> None:
        self._root = f"/services/data/{config.api_version}"
        self._target = HttpTarget(
            config.url,
            config.policy,
            config.timeout_s,
            in_flight_max=config.in_flight_max,
            keep_alive=True,
            answer_bytes_max=ANSWER_BYTES_MAX,
        )
        self._session = Session(
            self._target, config.client_id.get_secret_value(), config.client_secret.get_secret_value()
        )

    def __repr__(self) -> str:
        return "SalesforceApi()"

    def collection(self, kind: str, external_id: str) -> str:
        return f"{self._root}/composite/sobjects/{kind}/{external_id}"

    def record(self, kind: str, external_id: str, value: str, query: str = "") -> str:
        return f"{self._root}/sobjects/{kind}/{external_id}/{quote(value, safe='')}{query}"

    async def ask(
        self, method: str, path: str, body: bytes | None, deadline: Deadline
    ) -> Answer | Unanswered | Outcome:
        """An answer, or none, or the outcome where there is no token to ask with."""
        token = await self._session.token(deadline)
        if isinstance(token, Outcome):
            return token
        answer = await self._asked(method, path, body, token, deadline)
        if isinstance(answer, Answer) and session_ended(answer):
            token = await self._session.token(deadline, refused=token)
            if isinstance(token, Outcome):
                return token
            answer = await self._asked(method, path, body, token, deadline)
        return answer

    async def close(self) -> None:
        await self._target.close()

    async def _asked(
        self, method: str, path: str, body: bytes | None, token: str, deadline: Deadline
    ) -> Answer | Unanswered:
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json; charset=UTF-8",
            "Accept": "application/json",
        }
        return await self._target.request(method, path, body, headers, within_s=deadline.left_s)
