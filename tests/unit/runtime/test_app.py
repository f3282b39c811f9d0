import pytest
from pydantic import SecretStr

from streams.app import AGENTS, build_worker, runtime_options
from streams.errors import SettingsError
from streams.security.access import client_security
from streams.settings import KafkaSettings, SaslMechanism, SecurityProtocol, Settings, load
from streams.topics import Topics, specs

SETTINGS = Settings(kafka=KafkaSettings(topic_prefix="blue."))


@pytest.mark.parametrize("name", AGENTS)
def test_every_stage_builds_and_names_topics_that_are_defined(name: str) -> None:
    worker = build_worker(name, SETTINGS)
    defined = {spec.name: spec.partitions for spec in specs(SETTINGS)}
    assert worker.spec.name == name
    assert {worker.spec.input_topic, worker.spec.changelog_topic, *worker.spec.output_topics} <= defined.keys()
    assert defined[worker.spec.input_topic] == defined[worker.spec.changelog_topic]


def test_groups_and_transactional_ids_carry_the_prefix_and_are_a_stages_own() -> None:
    topics = Topics("blue.")
    ids = {runtime_options(name, SETTINGS, topics).transactional_id(3) for name in AGENTS}
    assert len(ids) == len(AGENTS)
    for name in AGENTS:
        assert runtime_options(name, SETTINGS, topics).transactional_id(3) == topics.transactional_id(name, 3)


def test_another_guarantee_is_refused_with_the_one_there_is() -> None:
    with pytest.raises(SettingsError, match="exactly_once"):
        load(None, {"runtime": {"guarantee": "at_least_once"}})


def test_security_reaches_the_clients() -> None:
    kafka = KafkaSettings(
        security_protocol=SecurityProtocol.SASL_SSL,
        sasl_mechanism=SaslMechanism.PLAIN,
        sasl_username="pegel",
        sasl_password=SecretStr("s3cret"),
    )
    arguments = client_security(kafka)
    assert arguments["sasl_plain_password"] == "s3cret"
    assert arguments["sasl_mechanism"] == "PLAIN"
    assert arguments["security_protocol"] == "SASL_SSL"
    assert arguments["ssl_context"].check_hostname
    assert client_security(KafkaSettings()) == {"security_protocol": "PLAINTEXT"}
