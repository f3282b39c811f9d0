"""Laws of `pegel topics` on a real broker."""

from dataclasses import replace

import pytest

from streams.dev.broker import Broker
from streams.errors import KafkaUnreachableError
from streams.settings import KafkaSettings, Settings
from streams.topic_admin import DifferenceKind, Outcome, TopicAdmin, differences
from streams.topics import Topics, specs

pytestmark = pytest.mark.kafka


def test_applying_creates_every_topic_exactly_as_specified(kafka_settings: Settings) -> None:
    admin = TopicAdmin(kafka_settings.kafka)

    changes = admin.apply(specs(kafka_settings))

    states = admin.read(spec.name for spec in specs(kafka_settings))
    assert {change.outcome for change in changes} == {Outcome.CREATED}
    assert [differences(spec, states.get(spec.name)) for spec in specs(kafka_settings)] == [()] * len(changes)


def test_applying_twice_changes_nothing_the_second_time(deployment: Settings) -> None:
    assert TopicAdmin(deployment.kafka).apply(specs(deployment)) == ()


def test_a_dry_run_changes_nothing(kafka_settings: Settings) -> None:
    admin = TopicAdmin(kafka_settings.kafka)

    changes = admin.apply(specs(kafka_settings), dry_run=True)

    assert {change.outcome for change in changes} == {Outcome.PLANNED}
    assert admin.read(Topics(kafka_settings.kafka.topic_prefix).all()) == {}


def test_a_configuration_that_was_changed_is_set_back(deployment: Settings) -> None:
    admin = TopicAdmin(deployment.kafka)
    altered = [
        replace(spec, retention_ms=60_000) if spec.name.endswith("product.events.v1") else spec
        for spec in specs(deployment)
    ]
    admin.apply(altered)

    (change,) = admin.apply(specs(deployment))

    assert (change.outcome, change.difference.setting) == (Outcome.ALTERED, "retention.ms")
    assert (change.difference.found, change.difference.wanted) == ("60000", "-1")
    assert admin.apply(specs(deployment)) == ()


def test_partitions_grow_only_when_told_to(deployment: Settings) -> None:
    admin = TopicAdmin(deployment.kafka)
    larger = deployment.model_copy(update={"kafka": deployment.kafka.model_copy(update={"partitions": 6})})

    left = admin.apply(specs(larger))
    assert {(change.difference.kind, change.outcome) for change in left} == {
        (DifferenceKind.PARTITIONS, Outcome.LEFT_ALONE)
    }

    grown = admin.apply(specs(larger), grow=True)
    assert {change.outcome for change in grown} == {Outcome.GROWN}
    assert admin.apply(specs(larger)) == ()
    assert {change.outcome for change in admin.apply(specs(deployment), grow=True)} == {Outcome.LEFT_ALONE}


def test_two_prefixes_share_a_cluster_without_touching(kafka: Broker, deployment: Settings) -> None:
    other = deployment.model_copy(
        update={"kafka": deployment.kafka.model_copy(update={"topic_prefix": deployment.kafka.topic_prefix + "b."})}
    )
    changes = TopicAdmin(other.kafka).apply(specs(other))

    assert {change.outcome for change in changes} == {Outcome.CREATED}


def test_an_address_where_nobody_listens_is_reported_with_the_reason() -> None:
    with pytest.raises(KafkaUnreachableError, match=r"127\.0\.0\.1:1: .*refused"):
        TopicAdmin(KafkaSettings(bootstrap="127.0.0.1:1", request_timeout_ms=2_000)).names()
