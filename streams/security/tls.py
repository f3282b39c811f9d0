"""One TLS context from the settings. What is wrong with certificate or key is said before anybody connects.

The clients of librdkafka read the same files themselves; they too are only built after this has worked, so that there
is one way in which a damaged file is told.
"""

import ssl

from streams.errors import SettingsError
from streams.settings import KafkaSettings


def tls_context(kafka: KafkaSettings) -> ssl.SSLContext:
    """For the brokers. Raises `SettingsError` where a file is no certificate or key, or the two do not fit."""
    context = authorities(kafka)
    context.check_hostname = kafka.ssl_check_hostname
    if kafka.ssl_cert_file is not None:
        _load_own(context, kafka)
    return context


def authorities(kafka: KafkaSettings) -> ssl.SSLContext:
    """For whoever must show a certificate of a trusted authority, for the name by which it is called."""
    try:
        return ssl.create_default_context(cafile=None if kafka.ssl_ca_file is None else str(kafka.ssl_ca_file))
    except (ssl.SSLError, OSError) as error:
        raise SettingsError(
            f"kafka.ssl_ca_file: {kafka.ssl_ca_file}: {_reason(error)}; give certificates of authorities as PEM"
        ) from None


def _load_own(context: ssl.SSLContext, kafka: KafkaSettings) -> None:
    given = kafka.ssl_key_password
    asked = False

    def password() -> str:
        # Without this OpenSSL would ask at the terminal, and a worker would wait for somebody to type.
        nonlocal asked
        asked = True
        return "" if given is None else given.get_secret_value()

    files = f"kafka.ssl_cert_file {kafka.ssl_cert_file}, kafka.ssl_key_file {kafka.ssl_key_file}"
    try:
        context.load_cert_chain(str(kafka.ssl_cert_file), str(kafka.ssl_key_file), password)
    except (ssl.SSLError, OSError, ValueError) as error:
        if asked:
            what = "is wrong" if given is not None else "is missing: the key is encrypted"
            fix = "correct it" if given is not None else "give it"
            raise SettingsError(f"{files}: kafka.ssl_key_password {what}; {fix}") from None
        raise SettingsError(f"{files}: {_reason(error)}; give a certificate and its private key as PEM") from None


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not PEM").lower().replace("_", " ")
    return getattr(error, "strerror", None) or type(error).__name__
