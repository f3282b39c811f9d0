"""Tokens for OAUTHBEARER: asked from an authority, or read from a file that somebody else keeps fresh.

Theory of operation. Three kinds of callers want the token: connections in a worker's loop, connections in the loop of
Faust's consumer thread, and librdkafka's callback. So the source is plain blocking code under a lock; who has a loop
calls it in a thread. A token that was asked for is kept until shortly before it expires; one asker at a time, the
others wait for its answer. An authority that is away is asked a few times, and while the old token is still good a
failure is only logged. An authority that says no (4xx) is not asked again: the next login will.

A file is read at each login: it is small, logins are rare, and nothing has to notice that it changed.

Secrets and tokens are in no text of this module: not in errors, not in logs, not in `repr`. Redirects are not
followed, they would carry the secret elsewhere.
"""

import base64
import binascii
import json
import random
import re
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from pydantic import SecretStr

from streams import log_events

ATTEMPTS_MAX: Final = 3
RETRY_S: Final = 0.5
ATTEMPT_TIMEOUT_S: Final = 10.0
ANSWER_BYTES_MAX: Final = 1 << 20
TOKEN_CHARS_MAX: Final = 1 << 17
RENEW_BEFORE_MAX_S: Final = 60.0
RENEW_BEFORE_SHARE: Final = 0.2
LIFETIME_UNKNOWN_S: Final = 300.0
"""For a token that says nothing of its end: so soon it is asked for again."""
LIFETIME_MAX_S: Final = 366 * 86_400.0
_TOKEN_FORM: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750: nothing that could end the field it goes in
_ERROR_CODE: Final = re.compile(r"[a-z_]{1,60}")


class TokenUnavailableError(Exception):
    """No token can be had. The text names place and reason, never the secret. `final`: asking again is no use."""

    def __init__(self, text: str, *, final: bool = False) -> None:
        super().__init__(text)
        self.final = final


@dataclass(frozen=True, slots=True)
class Token:
    value: str = field(repr=False)
    expires_at_s: float
    """Unix time."""


class TokenSource(Protocol):
    def token(self) -> Token:
        """A token that is good now. Blocks; may be called from any thread; raises `TokenUnavailableError`."""
        ...


@dataclass(frozen=True, slots=True)
class TokenFile:
    """The token is what the file holds at the moment."""

    path: Path
    now_s: Callable[[], float] = time.time

    def token(self) -> Token:
        try:
            with self.path.open(encoding="ascii") as file:
                text = file.read(TOKEN_CHARS_MAX).strip()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not a token"
            raise TokenUnavailableError(f"kafka.sasl_oauthbearer_token_file {self.path}: {reason}") from None
        if not _TOKEN_FORM.fullmatch(text):
            raise TokenUnavailableError(f"kafka.sasl_oauthbearer_token_file {self.path}: holds no token", final=True)
        now_s = self.now_s()
        token = Token(text, _end_in(text) or now_s + LIFETIME_UNKNOWN_S)
        if token.expires_at_s <= now_s:
            ago_s = now_s - token.expires_at_s
            raise TokenUnavailableError(
                f"kafka.sasl_oauthbearer_token_file {self.path}: the token expired {ago_s:.0f} s ago; "
                "whoever writes the file does not renew it",
                final=True,
            )
        return token


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """OAuth 2.0, RFC 6749 section 4.4: id and secret for a token."""

    url: str
    client_id: str
    secret: SecretStr
    scope: str | None = None
    tls: ssl.SSLContext | None = None

    def ask(self) -> tuple[str, float]:
        """One attempt: token, and seconds until it expires."""
        request = urllib.request.Request(self.url, data=self._form(), method="POST")  # noqa: S310 - http(s) by settings
        request.add_header("Accept", "application/json")
        request.add_unredirected_header("Authorization", f"Basic {self._basic()}")
        handlers: list[urllib.request.BaseHandler] = [_NoRedirects()]
        if self.tls is not None:
            handlers.append(urllib.request.HTTPSHandler(context=self.tls))
        try:
            with urllib.request.build_opener(*handlers).open(request, timeout=ATTEMPT_TIMEOUT_S) as answer:
                return self._read(_body(answer))
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(error.code, _body(error)) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            untrusted = isinstance(reason, ssl.SSLCertVerificationError)
            raise self._failed(_plain(reason), final=untrusted) from None

    def _form(self) -> bytes:
        scope = {} if self.scope is None else {"scope": self.scope}
        return urllib.parse.urlencode({"grant_type": "client_credentials", **scope}).encode()

    def _basic(self) -> str:
        pair = (self.client_id, self.secret.get_secret_value())
        return base64.b64encode(":".join(urllib.parse.quote_plus(one) for one in pair).encode()).decode()

    def _read(self, body: bytes) -> tuple[str, float]:
        answer = _object(body)
        token, lifetime_s = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or len(token) > TOKEN_CHARS_MAX or not _TOKEN_FORM.fullmatch(token):
            raise self._failed("the answer holds no access_token", final=True)
        try:
            seconds = LIFETIME_UNKNOWN_S if lifetime_s is None else float(lifetime_s)
        except (TypeError, ValueError):
            raise self._failed("expires_in in the answer is no number", final=True) from None
        if not 0 < seconds <= LIFETIME_MAX_S:
            raise self._failed("expires_in in the answer is no time that can be meant", final=True)
        return token, seconds

    def _refused(self, status: int, body: bytes) -> TokenUnavailableError:
        code = _object(body).get("error")
        said = f" ({code})" if isinstance(code, str) and _ERROR_CODE.fullmatch(code) else ""
        final = 300 <= status < 500 and status not in (408, 429)
        return self._failed(f"answers {status}{said}", final=final)

    def _failed(self, reason: str, *, final: bool) -> TokenUnavailableError:
        return TokenUnavailableError(f"kafka.sasl_oauthbearer_token_url {self.url}: {reason}", final=final)


class Renewing:
    """Keeps the token until shortly before it expires."""

    def __init__(
        self,
        ask: Callable[[], tuple[str, float]],
        now_s: Callable[[], float] = time.time,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ask = ask
        self._now_s = now_s
        self._pause = pause
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._renew_at_s = 0.0

    def token(self) -> Token:
        with self._lock:
            kept, now_s = self._token, self._now_s()
            if kept is not None and now_s < self._renew_at_s:
                return kept
            try:
                return self._renewed()
            except TokenUnavailableError as error:
                if kept is None or now_s >= kept.expires_at_s:
                    raise
                log_events.TOKEN_KEPT.tell(reason=str(error), seconds=round(kept.expires_at_s - now_s))
                return kept

    def _renewed(self) -> Token:
        attempt = 1
        while True:
            try:
                asked_s = self._now_s()
                value, lifetime_s = self._ask()
            except TokenUnavailableError as error:
                if error.final or attempt >= ATTEMPTS_MAX:
                    raise
                self._pause(RETRY_S * 2 ** (attempt - 1) * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
                attempt += 1
            else:
                token = self._token = Token(value, asked_s + lifetime_s)
                self._renew_at_s = token.expires_at_s - min(RENEW_BEFORE_MAX_S, RENEW_BEFORE_SHARE * lifetime_s)
                return token


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """What the token endpoint answers is its answer, also where it says to go elsewhere."""

    def redirect_request(self, *_: Any) -> None:
        """Follow none."""


def _body(answer: Any) -> bytes:
    """What is read is bounded in size and time, however slowly it comes."""
    end_s, size = time.monotonic() + ATTEMPT_TIMEOUT_S, 0
    parts: list[bytes] = []
    while size <= ANSWER_BYTES_MAX and time.monotonic() < end_s:
        part = answer.read1(1 << 16)
        if not part:
            return b"".join(parts)
        parts.append(part)
        size += len(part)
    raise ValueError("the answer is too long or too slow")


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _plain(reason: object) -> str:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"its certificate cannot be trusted ({reason.verify_message}); see kafka.ssl_ca_file"
    return str(getattr(reason, "strerror", None) or reason)


def _end_in(token: str) -> float | None:
    """`exp` of a JSON web token, unverified: it only says when to look again."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        end_s = _object(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))).get("exp")
    except (binascii.Error, ValueError):
        return None
    return float(end_s) if isinstance(end_s, int | float) and not isinstance(end_s, bool) else None
