"""The facts of a sound deployment of three brokers, for tests that spoil one of them."""

from dataclasses import replace
from typing import Any

from streams.doctor.facts import (
    Compared,
    Ends,
    Facts,
    GroupFacts,
    Member,
    Placement,
    StateFacts,
    StatePartition,
    Verdict,
    stage_topics,
)
from streams.settings import KafkaSettings, Settings
from streams.topic_admin import TopicState
from streams.topics import Topics, specs

PARTITIONS = 2
SETTINGS = Settings(kafka=KafkaSettings(partitions=PARTITIONS, replication_factor=3, min_insync_replicas=2))
TOPICS = Topics("")
WORKER = "pegel.stage-reader-1.2.3"


def sound() -> Facts:
    wanted = specs(SETTINGS)
    stages = stage_topics(TOPICS)
    offsets = dict.fromkeys(range(PARTITIONS), 90)
    group = GroupFacts("STABLE", (Member(WORKER, "one", frozenset(range(PARTITIONS))),), offsets, offsets)
    return Facts(
        settings=SETTINGS,
        version="1.2.3",
        brokers=3,
        controller=1,
        features={"metadata.version": 29, "transaction.version": 2},
        specs=wanted,
        topics={one.name: TopicState(one.name, one.partitions, 3, one.configs) for one in wanted},
        placements=tuple(Placement(one.name, number, 1, 3, 3) for one in wanted for number in range(one.partitions)),
        ends={one.name: {number: Ends(0, 91, 91) for number in range(one.partitions)} for one in wanted},
        stages=stages,
        groups={one.stage: group for one in stages},
        positions={one.stage: offsets for one in stages},
        configured_catalog="v1",
        state=StateFacts(
            tuple(StatePartition(number, 90, 7, 0, 0, ("ours", "v1"), 0) for number in range(PARTITIONS)),
            (Compared("acme", 0, 0, Verdict.EQUAL), Compared("globex", 1, 1, Verdict.EQUAL)),
            180,
        ),
    )


def with_config(facts: Facts, topic: str, setting: str, value: str) -> Facts:
    state = facts.topics[topic]
    spoilt = replace(state, configs={**state.configs, setting: value})
    return replace(facts, topics={**facts.topics, topic: spoilt})


def with_partitions(facts: Facts, topic: str, count: int) -> Facts:
    return replace(facts, topics={**facts.topics, topic: replace(facts.topics[topic], partitions=count)})


def with_group(facts: Facts, stage: str, **changes: Any) -> Facts:
    return replace(facts, groups={**facts.groups, stage: replace(facts.groups[stage], **changes)})


def with_kafka(facts: Facts, **changes: Any) -> Facts:
    settings = facts.settings.model_copy(update={"kafka": facts.settings.kafka.model_copy(update=changes)})
    return replace(facts, settings=settings, specs=specs(settings))


def with_state(facts: Facts, **changes: Any) -> Facts:
    assert facts.state is not None
    return replace(facts, state=replace(facts.state, **changes))


def with_state_partition(facts: Facts, number: int, **changes: Any) -> Facts:
    assert facts.state is not None
    partitions = [replace(one, **changes) if one.partition == number else one for one in facts.state.partitions]
    return with_state(facts, partitions=tuple(partitions))


def with_compared(facts: Facts, **changes: Any) -> Facts:
    assert facts.state is not None
    return with_state(facts, compared=(replace(facts.state.compared[0], **changes), *facts.state.compared[1:]))
