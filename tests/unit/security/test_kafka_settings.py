"""Laws of the settings of the wire: what does not fit together is told with its place, its reason and the way out."""

from pathlib import Path

import pytest

from streams.errors import SettingsError
from streams.settings import MASK, load

SECRETS = ("pass-word-1", "client-secret-2", "key-pass-3")


def written(folder: Path, *lines: str) -> Path:
    file = folder / "pegel.yaml"
    file.write_text("kafka:\n" + "".join(f"  {line}\n" for line in lines))
    return file


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["sasl_mechanism: PLAIN", "security_protocol: SASL_SSL"], r":3: .* with PLAIN needs sasl_username and"),
        (
            ["security_protocol: SASL_SSL", "sasl_mechanism: OAUTHBEARER"],
            r":2: .* either sasl_oauthbearer_token_url or",
        ),
        (
            [
                "security_protocol: SASL_SSL",
                "sasl_mechanism: OAUTHBEARER",
                "sasl_oauthbearer_token_url: https://issuer/token",
            ],
            r":4: .*needs sasl_oauthbearer_client_id and sasl_oauthbearer_client_secret; give both",
        ),
        (["ssl_cert_file: {folder}/pegel.yaml"], r":2: .*ssl_cert_file needs ssl_key_file; give its private key"),
        (["ssl_key_file: {folder}/pegel.yaml"], r":2: .*ssl_key_file needs ssl_cert_file"),
        (["ssl_key_password: x"], r":2: .*ssl_key_password needs ssl_key_file"),
        (["ssl_ca_file: {folder}/none.pem"], r":2: kafka\.ssl_ca_file: .*none\.pem: No such file or directory; give a"),
        (["ssl_ca_file: {folder}"], r":2: kafka\.ssl_ca_file: .*Is a directory"),
        (["sasl_oauthbearer_token_url: ftp://issuer"], r":2: kafka\.sasl_oauthbearer_token_url: .*not the right form"),
        (
            ["sasl_mechanism: GSSAPI"],
            r":2: kafka\.sasl_mechanism: .*PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER",
        ),
    ],
)
def test_what_does_not_fit_together_names_its_line_and_the_way_out(tmp_path: Path, lines: list[str], said: str) -> None:
    config = written(tmp_path, *(line.format(folder=tmp_path) for line in lines))
    with pytest.raises(SettingsError, match=said):
        load(config)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["security_protocol: SSL", "ssl_check_hostname: false"], "ssl_check_hostname is off"),
        (
            ["security_protocol: SASL_PLAINTEXT", "sasl_mechanism: PLAIN", "sasl_username: u", "sasl_password: p"],
            "sends the secret of PLAIN readable",
        ),
        (["sasl_username: u"], "kafka.sasl_username is not used"),
        (["ssl_ca_file: {folder}/pegel.yaml"], "kafka.ssl_ca_file is not used"),
        (
            [
                "security_protocol: SASL_SSL",
                "sasl_mechanism: OAUTHBEARER",
                "sasl_oauthbearer_token_url: http://issuer/token",
                "sasl_oauthbearer_client_id: c",
                "sasl_oauthbearer_client_secret: s",
            ],
            "token_url is http",
        ),
    ],
)
def test_a_door_that_is_left_open_is_warned_of(tmp_path: Path, lines: list[str], said: str) -> None:
    (warning,) = load(written(tmp_path, *(line.format(folder=tmp_path) for line in lines))).warnings
    assert said in warning


def test_no_secret_is_in_what_is_shown_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "key.pem").touch()
    loaded = load(
        written(
            tmp_path,
            "security_protocol: SASL_SSL",
            "sasl_username: u",
            f"sasl_password: {SECRETS[0]}",
            f"sasl_oauthbearer_client_secret: {SECRETS[1]}",
            f"ssl_cert_file: {tmp_path}/key.pem",
            f"ssl_key_file: {tmp_path}/key.pem",
            f"ssl_key_password: {SECRETS[2]}",
        )
    )
    shown = {leaf.name: leaf.value for leaf in loaded.leaves()}

    for name in ("sasl_password", "sasl_oauthbearer_client_secret", "ssl_key_password"):
        assert shown[f"kafka.{name}"] == MASK
    for secret in SECRETS:
        assert secret not in repr(loaded)
        assert secret not in str(shown)
