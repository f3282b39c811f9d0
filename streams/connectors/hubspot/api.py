"""HubSpot over HTTP: paths, credentials, and what the rate limits leave."""

from typing import Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

from streams.connectors.batch_sink import Attempt
from streams.connectors.http import Answer, HttpTarget, Unanswered
from streams.connectors.hubspot.answers import failure_of
from streams.connectors.hubspot.config import HubspotAccess
from streams.connectors.hubspot.limits import Allowance
from streams.connectors.outcome import Outcome, throttled

ANSWER_BYTES_MAX: Final = 2 << 20
"""A hundred companies come back with all that was written."""
USED_UP: Final = "allowance_used_up"


class HubspotApi:
    def __init__(self, config: HubspotAccess) -> None:
        self.zone = ZoneInfo(config.timezone)
        self._version = config.api_version
        self._headers = {
            "Authorization": f"Bearer {config.token.get_secret_value()}",
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        self._allowance = Allowance(self.zone)
        self._target = HttpTarget(
            config.url,
            config.policy,
            config.timeout_s,
            in_flight_max=config.in_flight_max,
            keep_alive=True,
            answer_bytes_max=ANSWER_BYTES_MAX,
        )

    def __repr__(self) -> str:
        return "HubspotApi()"

    def objects(self, kind: str, rest: str = "") -> str:
        return f"{self._area('objects')}/{kind}{rest}"

    def properties(self, rest: str = "") -> str:
        return f"{self._area('properties')}/companies{rest}"

    def tasks_of(self, company: str, limit: int, after: str) -> str:
        """The tasks associated with a company, a page at a time."""
        area = "/crm/v4/objects" if self._version == "v3" else self._area("objects")
        page = f"&after={quote(after, safe='')}" if after else ""
        return f"{area}/companies/{quote(company, safe='')}/associations/tasks?limit={limit}{page}"

    def _area(self, area: str) -> str:
        return f"/crm/v3/{area}" if self._version == "v3" else f"/crm/{area}/{self._version}"

    async def ask(self, method: str, path: str, body: bytes | None, attempt: Attempt) -> Answer | Unanswered | Outcome:
        """An answer, or none, or - while the allowance is used up - the outcome without asking."""
        wait_s = self._allowance.wait_s(attempt.now_ms)
        if wait_s:
            return throttled(wait_s, USED_UP)
        answer = await self._target.request(method, path, body, self._headers, within_s=attempt.deadline.left_s)
        if isinstance(answer, Answer):
            self._allowance.noted(answer.headers, attempt.now_ms)
        return answer

    def failure(self, answer: Answer, now_ms: int) -> Outcome | None:
        """The outcome of an answer that is no success."""
        return None if 200 <= answer.status < 300 else failure_of(answer, now_ms, self.zone)

    async def close(self) -> None:
        await self._target.close()
