"""Laws of settings: who wins, what is said when one is wrong, and that secrets stay secret."""

from pathlib import Path

import pytest

from streams.errors import SettingsError
from streams.settings import MASK, KafkaSettings, Settings, load, setting_names, variable_of

PASSWORD = "correct-horse"


def written(folder: Path, text: str) -> Path:
    file = folder / "pegel.yaml"
    file.write_text(text)
    return file


def test_without_any_source_the_defaults_hold() -> None:
    loaded = load()

    assert loaded.settings == Settings()
    assert {leaf.origin for leaf in loaded.leaves()} == {"default"}


def test_every_setting_is_described() -> None:
    assert [name for name, description in setting_names() if not description] == []


def test_options_beat_variables_beat_secrets_beat_the_file_beat_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = written(
        tmp_path, "kafka:\n  bootstrap: file:1\n  topic_prefix: file.\n  partitions: 5\n  sasl_username: file\n"
    )
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "kafka__topic_prefix").write_text("secret.\n")
    (secrets / "kafka__sasl_username").write_text("secret\n")
    monkeypatch.setenv("PEGEL_SECRETS_DIR", str(secrets))
    monkeypatch.setenv("PEGEL_KAFKA__BOOTSTRAP", "variable:1")
    monkeypatch.setenv("PEGEL_KAFKA__TOPIC_PREFIX", "variable.")

    loaded = load(config, {"kafka": {"bootstrap": "option:1", "partitions": None}})

    kafka = loaded.settings.kafka
    assert (kafka.bootstrap, kafka.topic_prefix, kafka.sasl_username, kafka.partitions, kafka.replication_factor) == (
        "option:1", "variable.", "secret", 5, 1,
    )  # fmt: skip
    origins = {leaf.name: leaf.origin for leaf in loaded.leaves()}
    assert origins["kafka.bootstrap"] == "option --bootstrap"
    assert origins["kafka.topic_prefix"] == "PEGEL_KAFKA__TOPIC_PREFIX"
    assert origins["kafka.sasl_username"] == str(secrets / "kafka__sasl_username")
    assert origins["kafka.partitions"] == f"{config}:4"
    assert origins["kafka.replication_factor"] == "default"


def test_the_file_may_be_named_by_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEGEL_CONFIG", str(written(tmp_path, "web: {port: 8080}")))

    assert load().settings.web.port == 8080


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kafka:\n  partitions: many\n", ":2: kafka.partitions: .*integer.*; expected: Partitions"),
        ("kafka:\n  partitionz: 3\n", ":2: kafka.partitionz is not a setting; did you mean kafka.partitions?"),
        ("kafkaa: {}\n", ":1: kafkaa is not a setting; did you mean kafka?"),
        ("qqqq: 1\n", ":1: qqqq is not a setting; 'pegel config show' lists all"),
        ("\n\nweb: 3\n", ":3: web: .*"),
        ("- a\n", ":1: settings are a map of sections, not a list"),
        ("kafka: [\n", ":2:1: not YAML"),
        ("kafka: \x00\n", ": not YAML"),
        ("kafka: {bootstrap: nowhere}\n", ":1: kafka.bootstrap: 'nowhere' has not the right form; expected: .*HOST"),
        ("kafka: {heartbeat_interval_ms: 20000}\n", ":1: kafka: heartbeat_interval_ms must be at most a third"),
        ("kafka: {min_insync_replicas: 2}\n", ":1: kafka: min_insync_replicas must not be greater"),
        ("kafka:\n  security_protocol: SASL_SSL\n", ":2: kafka: .* needs sasl_username and sasl_password"),
        ("runtime: {guarantee: at_most_once}\n", ":1: runtime.guarantee: .*exactly_once"),
        ("notify:\n  max_age_h: -1\n", ":2: notify.max_age_h: .*greater than 0"),
    ],
)  # fmt: skip
def test_an_error_in_the_file_names_the_line_the_reason_and_the_fix(tmp_path: Path, text: str, said: str) -> None:
    config = written(tmp_path, text)

    with pytest.raises(SettingsError, match=said) as caught:
        load(config)
    assert str(caught.value).startswith(str(config))


def test_every_error_is_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(written(tmp_path, "kafka:\n  partitions: 0\nweb:\n  port: x\n"))

    assert [line.split(": ")[1] for line in str(caught.value).splitlines()] == ["kafka.partitions", "web.port"]


def test_an_error_in_a_variable_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEGEL_KAFKA__PARTITIONS", "0")

    with pytest.raises(SettingsError, match=r"^PEGEL_KAFKA__PARTITIONS: kafka.partitions: .*greater than or equal"):
        load()


def test_a_variable_that_is_no_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEGEL_KAFKA__BOTSTRAP", "x:1")

    with pytest.raises(SettingsError, match=r"did you mean kafka.bootstrap\?"):
        load()


def test_a_section_as_json_in_a_variable_must_be_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEGEL_KAFKA", "{bootstrap")

    with pytest.raises(SettingsError, match="PEGEL_KAFKA__BOOTSTRAP"):
        load()


def test_one_underscore_where_two_belong_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEGEL_KAFKA_BOOTSTRAP", "x:1")

    (warning,) = load().warnings
    assert warning == "PEGEL_KAFKA_BOOTSTRAP is not a setting and was ignored; did you mean PEGEL_KAFKA__BOOTSTRAP?"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda file: file.unlink(), "No such file"),
        (lambda file: file.write_bytes(b"a: \xff"), "not UTF-8 at byte 3"),
        (lambda file: file.write_bytes(b"#" * (1 << 20 | 1)), "larger than 1048576 bytes"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, make: object, said: str) -> None:
    config = written(tmp_path, "")
    assert callable(make)
    make(config)

    with pytest.raises(SettingsError, match=f"^{config}: {said}"):
        load(config)


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    assert load(written(tmp_path, "# nothing yet\n")).settings == Settings()


def test_a_directory_of_secrets_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEGEL_SECRETS_DIR", "/nowhere")

    with pytest.raises(SettingsError, match=r"^PEGEL_SECRETS_DIR: /nowhere is no directory"):
        load()


def test_secrets_are_masked_wherever_settings_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEGEL_KAFKA__SASL_PASSWORD", PASSWORD)

    loaded = load()

    shown = {leaf.name: leaf.value for leaf in loaded.leaves()}
    assert shown["kafka.sasl_password"] == MASK
    assert PASSWORD not in f"{loaded!r}{loaded.settings}{list(loaded.leaves())}"


def test_a_secret_is_not_quoted_in_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = written(tmp_path, f"kafka:\n  sasl_password: [{PASSWORD}]\n")

    with pytest.raises(SettingsError) as caught:
        load(config)
    assert PASSWORD not in str(caught.value)


def test_clients_get_what_the_protocol_needs_and_no_more(tmp_path: Path) -> None:
    authorities = tmp_path / "ca.pem"
    authorities.touch()
    plain = KafkaSettings(sasl_username="u", ssl_ca_file=authorities)
    secured = KafkaSettings.model_validate(
        {
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "PLAIN",
            "sasl_username": "u",
            "sasl_password": PASSWORD,
            "ssl_ca_file": str(authorities),
        }
    )

    assert plain.librdkafka() == {"bootstrap.servers": "127.0.0.1:9092", "security.protocol": "PLAINTEXT"}
    assert secured.librdkafka() == {
        "bootstrap.servers": "127.0.0.1:9092",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "u",
        "sasl.password": PASSWORD,
        "ssl.ca.location": str(authorities),
    }


def test_a_setting_has_one_variable() -> None:
    names = [variable_of(path) for path, _ in setting_names()]

    assert "PEGEL_KAFKA__BOOTSTRAP" in names
    assert len(set(names)) == len(names)
