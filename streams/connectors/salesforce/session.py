"""The access token: asked for once, kept for all, and asked for again when Salesforce has ended the session.

Many deliveries find out at once that the session is over. The first one renews it under a lock; the others wait and
take what it got: a token is only renewed by whoever was refused with that very token.
"""

import asyncio
from typing import Final
from urllib.parse import urlencode

import msgspec

from streams.connectors.deadline import Deadline
from streams.connectors.http import HttpTarget, Unanswered
from streams.connectors.outcome import Outcome, OutcomeKind, throttled
from streams.connectors.statuses import kind_of

PATH: Final = "/services/oauth2/token"
TOKEN_CHARS_MAX: Final = 8_192

ERRORS: Final[dict[str, OutcomeKind]] = {
    "rate_limit_exceeded": OutcomeKind.THROTTLED,
    "server_error": OutcomeKind.RETRY_DESTINATION,
    "temporarily_unavailable": OutcomeKind.RETRY_DESTINATION,
    "unknown_error": OutcomeKind.RETRY_DESTINATION,
    "invalid_client": OutcomeKind.AUTH,
    "invalid_client_id": OutcomeKind.AUTH,
    "invalid_client_credentials": OutcomeKind.AUTH,
    "invalid_grant": OutcomeKind.AUTH,
    "invalid_request": OutcomeKind.AUTH,
    "unsupported_grant_type": OutcomeKind.AUTH,
    "inactive_user": OutcomeKind.AUTH,
    "inactive_org": OutcomeKind.AUTH,
}


class _Granted(msgspec.Struct):
    access_token: str = ""
    error: str = ""


class Session:
    def __init__(self, target: HttpTarget, client_id: str, client_secret: str) -> None:
        self._target = target
        self._form = urlencode(
            {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
        ).encode()
        self._token: str | None = None
        self._lock = asyncio.Lock()

    def __repr__(self) -> str:
        return "Session()"

    async def token(self, deadline: Deadline, refused: str | None = None) -> str | Outcome:
        """A token that is not the `refused` one, or why there is none."""
        async with self._lock:
            if self._token is None or self._token == refused:
                granted = await self._granted(deadline)
                if isinstance(granted, Outcome):
                    self._token = None
                    return granted
                self._token = granted
            return self._token

    async def _granted(self, deadline: Deadline) -> str | Outcome:
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        answer = await self._target.request("POST", PATH, self._form, headers, within_s=deadline.left_s)
        if isinstance(answer, Unanswered):
            # A token that was granted and lost harms nobody.
            return Outcome(OutcomeKind.RETRY_DESTINATION, answer.failure.value)
        try:
            said = msgspec.json.decode(answer.body, type=_Granted)
        except (msgspec.DecodeError, UnicodeDecodeError):
            said = _Granted()
        if 200 <= answer.status < 300:
            usable = said.access_token.isascii() and said.access_token.isprintable()
            if said.access_token and usable and len(said.access_token) <= TOKEN_CHARS_MAX:
                return said.access_token
            return Outcome(OutcomeKind.RETRY_DESTINATION, "token unreadable_answer")
        return _refusal(answer.status, said.error)


def _refusal(status: int, error: str) -> Outcome:
    """Whoever is refused a token is refused everything: nothing here is a record's fault."""
    kind = ERRORS.get(error) if status < 500 else None
    if kind is None:
        kind = kind_of(status)
        if kind in {OutcomeKind.REJECTED, OutcomeKind.GONE, OutcomeKind.RETRY_RECORD}:
            kind = OutcomeKind.AUTH
    detail = f"token {status} {error if error in ERRORS else ''}".rstrip()
    return throttled(None, detail) if kind is OutcomeKind.THROTTLED else Outcome(kind, detail)
