"""Laws of the topology."""

import dataclasses

from streams.limits import RECORD_BYTES_MAX
from streams.runtime.options import COMPACTION_LAG_MS, Guarantee
from streams.settings import KafkaSettings, RuntimeSettings, Settings, TopicSettings
from streams.topic_admin import Difference, DifferenceKind, Outcome, TopicState, differences, planned
from streams.topics import FOREVER_MS, NAMES, Cleanup, Topics, TopicSpec, specs

SETTINGS = Settings(kafka=KafkaSettings(topic_prefix="t.", partitions=6))
TOPICS = Topics("t.")


def by_name(settings: Settings = SETTINGS) -> dict[str, TopicSpec]:
    return {spec.name: spec for spec in specs(settings)}


def state_of(spec: TopicSpec) -> TopicState:
    return TopicState(spec.name, spec.partitions, spec.replication_factor, dict(spec.configs))


def test_every_named_topic_is_specified_once() -> None:
    names = [spec.name for spec in specs(SETTINGS)]

    assert sorted(names) == sorted(TOPICS.all())
    assert len(set(names)) == len(names) == len(NAMES)


def test_the_prefix_is_in_front_of_every_name_group_and_transactional_id() -> None:
    fields = [getattr(TOPICS, field.name) for field in dataclasses.fields(TOPICS)]

    assert all(name.startswith("t.") for name in fields)
    assert TOPICS.group("intake") == "t.pegel.intake"
    assert TOPICS.transactional_id("intake", 3) == "t.pegel.intake.3"


def test_a_topic_may_be_named_with_or_without_prefix() -> None:
    assert TOPICS.named("product.events.v1") == TOPICS.named("t.product.events.v1") == "t.product.events.v1"
    assert Topics("p").named("product.events.v1") == "pproduct.events.v1"
    assert Topics("").named("other") == "other"


def test_state_has_as_many_partitions_as_the_input_it_belongs_to() -> None:
    found = by_name()

    for changelog, source in (
        (TOPICS.identity_changelog, TOPICS.product_events),
        (TOPICS.accounts_changelog, TOPICS.account_events),
        (TOPICS.router_changelog, TOPICS.transitions),
        (TOPICS.deliveries_changelog, TOPICS.inbox),
    ):
        assert found[changelog].partitions == found[source].partitions == 6
        assert found[changelog].cleanup is Cleanup.COMPACT


def test_old_history_survives_being_published_today() -> None:
    found = by_name()

    for name in (TOPICS.product_events, TOPICS.account_events, TOPICS.account_events_late):
        assert found[name].retention_ms == FOREVER_MS
        assert found[name].configs["message.timestamp.type"] == "CreateTime"
        assert found[name].configs["message.timestamp.before.max.ms"] == str((1 << 63) - 1)


def test_without_transactions_compaction_waits_for_repairs_and_with_them_for_nothing() -> None:
    acked = Settings(runtime=RuntimeSettings(guarantee=Guarantee.AT_LEAST_ONCE))
    for settings, lag in ((acked, str(COMPACTION_LAG_MS)), (Settings(), None)):
        for name, spec in by_name(settings).items():
            assert spec.configs.get("min.compaction.lag.ms") == (lag if name.endswith(".changelog") else None)


def test_retention_is_taken_from_the_settings() -> None:
    settings = Settings(topics=TopicSettings(event_retention_days=1.5, transition_retention_days=None))

    found = by_name(settings)

    assert found["product.events.v1"].configs["retention.ms"] == "129600000"
    assert found["segments.transitions.v1"].retention_ms == FOREVER_MS


def test_events_as_they_were_sent_may_be_kept_for_another_time() -> None:
    found = by_name(Settings(topics=TopicSettings(event_retention_days=100, product_event_retention_days=7)))

    names = ("product.events.v1", "account.events.v1", "account.events.v1.late")
    assert [int(found[name].configs["retention.ms"]) / 86_400_000 for name in names] == [7, 100, 100]


def test_a_record_of_the_greatest_size_fits_with_its_key_and_headers() -> None:
    for spec in specs(SETTINGS):
        assert spec.batch_bytes_max > RECORD_BYTES_MAX + 64 * 1024
    found = by_name()
    assert found[TOPICS.product_events_dlq].batch_bytes_max > found[TOPICS.product_events].batch_bytes_max


def test_a_topic_as_specified_differs_in_nothing() -> None:
    assert [differences(spec, state_of(spec)) for spec in specs(SETTINGS)] == [()] * len(NAMES)


def test_configuration_that_is_not_specified_is_left_alone() -> None:
    spec = specs(SETTINGS)[0]
    state = dataclasses.replace(state_of(spec), configs={**spec.configs, "flush.ms": "7"})

    assert differences(spec, state) == ()


def test_every_kind_of_difference_is_named_with_both_values() -> None:
    spec = specs(SETTINGS)[0]
    configs = {**spec.configs, "retention.ms": "5"}
    del configs["cleanup.policy"]

    assert differences(spec, None)[0].kind is DifferenceKind.MISSING
    assert differences(spec, TopicState(spec.name, 2, 3, configs)) == (
        Difference(spec.name, DifferenceKind.PARTITIONS, "partitions", "2", "6"),
        Difference(spec.name, DifferenceKind.REPLICATION, "replication", "3", "1"),
        Difference(spec.name, DifferenceKind.CONFIG, "cleanup.policy", None, "delete"),
        Difference(spec.name, DifferenceKind.CONFIG, "retention.ms", "5", "-1"),
    )


def test_what_cannot_or_must_not_be_changed_is_left_alone_with_a_reason() -> None:
    fewer = Difference("t", DifferenceKind.PARTITIONS, "partitions", "2", "6")
    more = Difference("t", DifferenceKind.PARTITIONS, "partitions", "8", "6")
    copies = Difference("t", DifferenceKind.REPLICATION, "replication", "1", "3")

    assert planned(fewer, grow=True).outcome is Outcome.GROWN
    for change in (planned(fewer, grow=False), planned(more, grow=True), planned(copies, grow=True)):
        assert change.outcome is Outcome.LEFT_ALONE
        assert change.reason
