"""Laws of what clients are given to log in with."""

import logging
from pathlib import Path
from typing import Any

import pytest
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import AuthenticationFailedError, SaslAuthenticationFailed
from aiokafka.protocol.admin import ApiVersionRequest_v0, SaslAuthenticateRequest_v0, SaslAuthenticateRequest_v1

from streams.errors import SettingsError
from streams.runtime.options import RuntimeOptions
from streams.security.access import client_access, client_security
from streams.security.tls import tls_context
from streams.settings import KafkaSettings
from tests.kafka.secured_broker import KEY_PASSWORD, Authority

PASSWORD = "hunter2-hunter2"


def kafka(**given: Any) -> KafkaSettings:
    return KafkaSettings.model_validate(given)


def bearer(folder: Path, **given: Any) -> KafkaSettings:
    file = folder / "token"
    file.write_text("a.token")
    return kafka(
        security_protocol="SASL_SSL", sasl_mechanism="OAUTHBEARER", sasl_oauthbearer_token_file=str(file), **given
    )


def scram(**given: Any) -> KafkaSettings:
    return kafka(security_protocol="SASL_SSL", sasl_username="pegel", sasl_password=PASSWORD, **given)


async def test_a_token_reaches_the_login_and_a_missing_one_is_an_error_that_the_client_knows(tmp_path: Path) -> None:
    provider = client_security(bearer(tmp_path))["sasl_oauth_token_provider"]
    assert await provider.token() == "a.token"
    (tmp_path / "token").unlink()
    with pytest.raises(AuthenticationFailedError, match="No such file"):
        await provider.token()


async def test_a_token_that_the_broker_refuses_in_its_last_message_is_no_login(tmp_path: Path) -> None:
    provider = client_security(bearer(tmp_path))["sasl_oauth_token_provider"]
    connection = AIOKafkaConnection("127.0.0.1", 1, sasl_mechanism="OAUTHBEARER", sasl_oauth_token_provider=provider)
    login = connection.authenticator_oauth()

    assert await login.step(None) == (b"n,,\x01auth=Bearer a.token\x01\x01", True)
    with pytest.raises(SaslAuthenticationFailed, match="invalid_token"):
        await login.step(b'{"status":"invalid_token"}')


async def test_a_token_that_the_broker_takes_is_a_login(tmp_path: Path) -> None:
    provider = client_security(bearer(tmp_path))["sasl_oauth_token_provider"]
    connection = AIOKafkaConnection("127.0.0.1", 1, sasl_mechanism="OAUTHBEARER", sasl_oauth_token_provider=provider)
    login = connection.authenticator_oauth()

    await login.step(None)
    assert await login.step(b"") is None


@pytest.mark.parametrize("kind", [SaslAuthenticateRequest_v0, SaslAuthenticateRequest_v1])
def test_a_login_is_never_logged_and_other_requests_are(kind: Any, caplog: pytest.LogCaptureFixture) -> None:
    client_security(scram())
    with caplog.at_level(logging.DEBUG):
        log = logging.getLogger("aiokafka.conn")
        log.debug("Request to %s:%d %d: %s", "h", 1, 1, kind(PASSWORD.encode()))
        log.debug("Request to %s:%d %d: %s", "h", 1, 2, ApiVersionRequest_v0())
    assert PASSWORD not in caplog.text
    assert "ApiVersionRequest" in caplog.text


def test_what_a_worker_is_told_shows_no_secret(tmp_path: Path) -> None:
    for settings in (scram(), bearer(tmp_path)):
        options = RuntimeOptions(kafka=client_access(settings), group="g")
        assert PASSWORD not in repr(options)
        assert "a.token" not in repr(options)
        assert options.kafka.arguments()["security_protocol"] == "SASL_SSL"


# -- certificates -----------------------------------------------------------------------------------------------------


def test_certificate_and_encrypted_key_are_loaded_and_the_name_is_checked_unless_said_otherwise(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ca")
    one = authority.issue("client", password=KEY_PASSWORD)
    given = {
        "security_protocol": "SSL",
        "ssl_ca_file": str(authority.file),
        "ssl_cert_file": str(one.certificate),
        "ssl_key_file": str(one.key),
        "ssl_key_password": KEY_PASSWORD,
    }

    assert tls_context(kafka(**given)).check_hostname
    assert not tls_context(kafka(**given, ssl_check_hostname=False)).check_hostname
    assert client_access(kafka(**given)).shows_certificate
    assert kafka(**given, ssl_check_hostname=False).librdkafka() == {
        "bootstrap.servers": "127.0.0.1:9092",
        "security.protocol": "SSL",
        "ssl.ca.location": str(authority.file),
        "ssl.certificate.location": str(one.certificate),
        "ssl.key.location": str(one.key),
        "ssl.key.password": KEY_PASSWORD,
        "ssl.endpoint.identification.algorithm": "none",
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ssl_key_password": "wrong-password-of-the-key"}, "kafka.ssl_key_password is wrong; correct it"),
        ({"ssl_key_password": None}, "kafka.ssl_key_password is missing: the key is encrypted; give it"),
        ({"ssl_key_file": "other.key", "ssl_key_password": None}, "key values mismatch"),
        ({"ssl_cert_file": "empty"}, "give a certificate and its private key as PEM"),
        ({"ssl_ca_file": "empty"}, "kafka.ssl_ca_file: .*give certificates of authorities as PEM"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_told_before_anybody_connects(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    authority = Authority(tmp_path, "ca")
    one, other = authority.issue("client", password=KEY_PASSWORD), authority.issue("other")
    other.key.rename(tmp_path / "other.key")
    (tmp_path / "empty").touch()
    given = {
        "security_protocol": "SSL",
        "ssl_ca_file": str(authority.file),
        "ssl_cert_file": str(one.certificate),
        "ssl_key_file": str(one.key),
        "ssl_key_password": KEY_PASSWORD,
    }
    given |= {name: str(tmp_path / value) if name.endswith("file") else value for name, value in change.items()}

    with pytest.raises(SettingsError, match=said) as caught:
        tls_context(kafka(**given))
    assert "wrong-password" not in str(caught.value)


def test_the_clients_of_commands_get_their_tokens_from_the_same_source(tmp_path: Path) -> None:
    from streams.kafka_client import Complaints, _config  # noqa: PLC0415 - what is tested here is private

    config = _config(bearer(tmp_path), Complaints(), {})
    token, expires_at_s = config["oauth_cb"]("")
    assert token == "a.token"
    assert expires_at_s > 0
    assert "oauth_cb" not in _config(scram(), Complaints(), {})
