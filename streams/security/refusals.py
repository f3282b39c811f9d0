"""Why brokers do not let us in, in words that name the setting to change.

Theory of operation. Of a failed connection a client knows little more than that it failed; what it meant is told by
the error at the bottom of the chain and by what was being attempted: TLS that ends in the first bytes met a listener
without TLS, a first request that is hung up on met one with TLS, a handshake that worked and is then broken off lacked
a certificate. `refusal_of` is that table. What it does not know is no refusal but a broker that is away: worth waiting
for, where a refusal is not.

Text that a broker sends is quoted: by Kafka's protocol it names the mechanism, never a secret.
"""

import asyncio
import ssl
from collections.abc import Iterator
from enum import StrEnum

from aiokafka.errors import (
    AuthenticationFailedError,
    IllegalSaslStateError,
    KafkaConnectionError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from streams.settings import SecurityProtocol

TLS_PROTOCOLS = (SecurityProtocol.SSL, SecurityProtocol.SASL_SSL)


class Refusal(StrEnum):
    """What is wrong between us and a broker; the value is what to do about it."""

    LOGIN = "correct kafka.sasl_username and kafka.sasl_password"
    BEARER_REFUSED = "let the authority issue tokens that the brokers accept: issuer, audience, scope"
    NO_BEARER = "correct kafka.sasl_oauthbearer_*, or mend the authority"
    MECHANISM = "set kafka.sasl_mechanism to one of these"
    NO_LOGIN_HERE = "set kafka.security_protocol to SSL or PLAINTEXT, or name the listener that logs in"
    UNTRUSTED = "give the authority of the brokers' certificates as kafka.ssl_ca_file"
    WRONG_NAME = "name the brokers as their certificates do (kafka.bootstrap, advertised.listeners)"
    EXPIRED = "renew the broker's certificate, or set this machine's clock"
    CERTIFICATE_DEMANDED = "give kafka.ssl_cert_file and kafka.ssl_key_file"
    CERTIFICATE_REFUSED = "give a certificate (kafka.ssl_cert_file) that is valid and of an authority the brokers trust"
    NO_TLS_HERE = "set kafka.security_protocol to PLAINTEXT or SASL_PLAINTEXT, or name the listener with TLS"
    WANTS_OTHER_PROTOCOL = (
        "set kafka.security_protocol as the listener has it (PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL)"
    )
    OTHER_TLS = "let client and broker have a TLS version and cipher in common"

    @property
    def final(self) -> bool:
        """Whether waiting cannot help. A broker that just starts, or a proxy before one, hangs up as well."""
        return self not in (Refusal.NO_TLS_HERE, Refusal.WANTS_OTHER_PROTOCOL)


def refusal_of(error: BaseException, protocol: str, *, shows_certificate: bool) -> tuple[Refusal, str] | None:
    """What an error on the way in means, and the reason in words; None: nothing but a broker that is away."""
    chain = tuple(_chain(error))
    for one in chain:
        if (login := _login_refusal(one)) is not None:
            return login
    for one in chain:
        if isinstance(one, ssl.SSLError) and (found := _tls_refusal(one, shows_certificate)) is not None:
            return found
    hung_up = any(isinstance(one, asyncio.IncompleteReadError | ConnectionResetError) for one in chain)
    if hung_up and isinstance(error, KafkaConnectionError):
        return Refusal.WANTS_OTHER_PROTOCOL, f"a listener that does not speak {protocol} hung up"
    if hung_up and protocol in TLS_PROTOCOLS:
        return Refusal.NO_TLS_HERE, "the connection was closed during the TLS handshake"
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    for _ in range(8):
        if seen is None:
            return
        yield seen
        seen = seen.__cause__ or seen.__context__


def _login_refusal(error: BaseException) -> tuple[Refusal, str] | None:
    match error:
        case AuthenticationFailedError():
            return Refusal.NO_BEARER, _own_words(error)
        case UnsupportedSaslMechanismError():
            return Refusal.MECHANISM, _own_words(error)
        case SaslAuthenticationFailed():
            text = _own_words(error)
            return (Refusal.BEARER_REFUSED if "OAUTHBEARER" in text or "token" in text else Refusal.LOGIN), text
        case IllegalSaslStateError():
            return Refusal.NO_LOGIN_HERE, "the listener takes no login"
        case _:
            return None


def _own_words(error: BaseException) -> str:
    words = str(error.args[0]) if error.args else ""
    return " ".join(words.split())[:500] or type(error).__name__


def _tls_refusal(error: ssl.SSLError, shows_certificate: bool) -> tuple[Refusal, str] | None:  # noqa: FBT001
    if isinstance(error, ssl.SSLCertVerificationError):
        said = f"its certificate cannot be trusted: {error.verify_message}"
        if "mismatch" in error.verify_message or "not valid for" in error.verify_message:
            return Refusal.WRONG_NAME, said
        return (Refusal.EXPIRED if "expired" in error.verify_message else Refusal.UNTRUSTED), said
    reason = (error.reason or "").upper()
    if "CERTIFICATE_REQUIRED" in reason or ("ALERT" in reason and not shows_certificate and "CERT" in reason):
        return Refusal.CERTIFICATE_DEMANDED, "it asks for a certificate of ours"
    if "ALERT" in reason and any(word in reason for word in ("CERT", "UNKNOWN_CA", "HANDSHAKE_FAILURE")):
        if not shows_certificate:
            return Refusal.CERTIFICATE_DEMANDED, "it asks for a certificate of ours"
        return Refusal.CERTIFICATE_REFUSED, f"it does not accept our certificate ({_words(reason)})"
    if reason in ("WRONG_VERSION_NUMBER", "UNEXPECTED_EOF_WHILE_READING", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"):
        return Refusal.NO_TLS_HERE, "what answers does not speak TLS"
    if "PROTOCOL_VERSION" in reason or "UNSUPPORTED_PROTOCOL" in reason or "NO_SHARED_CIPHER" in reason:
        return Refusal.OTHER_TLS, f"no TLS in common ({_words(reason)})"
    return None


def _words(reason: str) -> str:
    return reason.lower().replace("_", " ")
