import pytest
from pydantic import SecretStr

from streams.app import AGENTS, build_worker, runtime_options
from streams.errors import SettingsError
from streams.runtime.options import Guarantee
from streams.security.access import client_security
from streams.settings import KafkaSettings, RuntimeSettings, SaslMechanism, SecurityProtocol, Settings, load
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


def test_a_guarantee_that_is_none_is_refused_with_those_there_are() -> None:
    with pytest.raises(SettingsError, match=r"exactly_once.*at_least_once"):
        load(None, {"runtime": {"guarantee": "at_most_once"}})


def test_every_setting_of_the_runtime_reaches_it() -> None:
    runtime = RuntimeSettings(
        flush_interval_ms=7, instance_id="one", shutdown_timeout_s=8, stall_timeout_s=9, silence_timeout_s=10,
        start_timeout_s=11, transaction_timeout_ms=1_012, guarantee=Guarantee.AT_LEAST_ONCE,
    )  # fmt: skip
    options = runtime_options("engagement", SETTINGS.model_copy(update={"runtime": runtime}), Topics("blue."))
    for name in RuntimeSettings.model_fields:
        assert getattr(options, name) == getattr(runtime, name)
        assert getattr(runtime, name) != RuntimeSettings.model_fields[name].default


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
