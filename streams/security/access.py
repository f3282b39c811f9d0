"""From the settings to what aiokafka's clients take."""

import asyncio
import logging
import re
from typing import Any

from aiokafka.abc import AbstractTokenProvider
from aiokafka.conn import AIOKafkaConnection, OAuthAuthenticator
from aiokafka.errors import AuthenticationFailedError, SaslAuthenticationFailed
from aiokafka.protocol.admin import SaslAuthenticateRequest_v0, SaslAuthenticateRequest_v1

from streams.runtime.options import KafkaAccess
from streams.security.sources import token_source
from streams.security.tls import tls_context
from streams.security.tokens import TokenSource, TokenUnavailableError
from streams.settings import KafkaSettings


class LoginsHidden(logging.Filter):
    """At its lowest level aiokafka logs each request whole, and a login is a request: password or token and all."""

    def filter(self, record: logging.LogRecord) -> bool:
        arguments = record.args if isinstance(record.args, tuple) else ()
        return not any(isinstance(one, SaslAuthenticateRequest_v0 | SaslAuthenticateRequest_v1) for one in arguments)


_LOGINS_HIDDEN = LoginsHidden()


class StrictBearer(OAuthAuthenticator):  # type: ignore[misc]
    """A login by token that notices a refusal.

    A broker that refuses a token answers without an error code, in a last message that aiokafka 0.14 does not look at:
    it logs "Authenticated" and meets silence ever after. `tests/unit/security/test_access.py` notices when the seam
    moves.
    """

    async def step(self, payload: bytes | None) -> tuple[bytes, bool] | None:
        if payload:
            status = re.search(rb'"status"\s*:\s*"([a-z_]{1,40})"', payload)
            why = status[1].decode() if status else "no reason given"
            raise SaslAuthenticationFailed(f"OAUTHBEARER: the broker does not accept the token ({why})")
        sent: tuple[bytes, bool] | None = await super().step(payload)
        return sent


def _strict_bearer(connection: AIOKafkaConnection) -> StrictBearer:
    return StrictBearer(sasl_oauth_token_provider=connection._sasl_oauth_token_provider)  # noqa: SLF001 - the seam


class TokenProvider(AbstractTokenProvider):  # type: ignore[misc]
    """What aiokafka asks at each login. Used from two event loops: the worker's, and that of Faust's thread."""

    def __init__(self, source: TokenSource) -> None:
        self._source = source

    async def token(self) -> str:
        try:
            return (await asyncio.to_thread(self._source.token)).value
        except TokenUnavailableError as error:
            # An error that aiokafka knows: it takes the broker for unreachable, and tries again in its own time.
            raise AuthenticationFailedError(str(error)) from None


def client_access(kafka: KafkaSettings) -> KafkaAccess:
    """How a worker's clients reach the brokers; raises `SettingsError` if a certificate or key cannot be used."""
    shows_certificate = kafka.uses_tls and kafka.ssl_cert_file is not None
    return KafkaAccess(kafka.bootstrap, client_security(kafka), shows_certificate)


def client_security(kafka: KafkaSettings) -> dict[str, Any]:
    """What aiokafka's clients need beyond the address."""
    arguments: dict[str, Any] = {"security_protocol": kafka.security_protocol.value}
    if kafka.uses_sasl:
        # Whoever gets the means to log in gets them together with the promise that they are not logged.
        logging.getLogger("aiokafka.conn").addFilter(_LOGINS_HIDDEN)
        arguments["sasl_mechanism"] = kafka.sasl_mechanism.value
        if (source := token_source(kafka)) is not None:
            AIOKafkaConnection.authenticator_oauth = _strict_bearer
            arguments["sasl_oauth_token_provider"] = TokenProvider(source)
        elif kafka.sasl_password is not None:
            arguments["sasl_plain_username"] = kafka.sasl_username
            arguments["sasl_plain_password"] = kafka.sasl_password.get_secret_value()
    if kafka.uses_tls:
        arguments["ssl_context"] = tls_context(kafka)
    return arguments
