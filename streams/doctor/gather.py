"""Fetch what there is to know about the cluster: topics, partitions, groups, offsets.

Everything moves while it is looked at. What must fit together is therefore read so that a running deployment cannot
look broken: offsets before and after the position rows that lie between them, open transactions twice, offsets that
are behind until they move (see `standstill`).
"""

import importlib.metadata
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import OffsetSpec

from streams.doctor.facts import (
    Ends,
    Facts,
    GroupFacts,
    Member,
    OpenTransaction,
    Placement,
    StageTopics,
    stage_topics,
)
from streams.doctor.features import finalized_features
from streams.doctor.standstill import standstills
from streams.errors import ExpectedError, InvalidSchemaError
from streams.kafka_client import admin_client, is_mock_cluster, reaching, timeout_s
from streams.kafka_reading import once_led
from streams.rebuild.configured import configured_program
from streams.rebuild.groups import committed_offsets, described_group
from streams.rebuild.log import LogReader
from streams.security.access import client_access
from streams.settings import KafkaSettings, Settings
from streams.topic_admin import TopicAdmin, TopicState
from streams.topics import Topics, specs

OPEN_WATCHED_S: Final = 3.0
"""A flush takes milliseconds; a transaction that is open for so long at the same place belongs to nobody who works."""


def gather(settings: Settings) -> Facts:
    """All facts but those about the state; raises `KafkaUnreachableError`."""
    kafka = settings.kafka
    wanted = specs(settings)
    names = [spec.name for spec in wanted]
    with reaching(kafka) as complaints:
        admin = admin_client(kafka, complaints)
        metadata = admin.list_topics(timeout=timeout_s(kafka))
        if is_mock_cluster(metadata):
            raise ExpectedError(f"{kafka.bootstrap} is a mock cluster: there is nothing to examine")
        controller = admin.describe_cluster(request_timeout=timeout_s(kafka)).result().controller
        topics = TopicAdmin(kafka).read(names)
        placements = tuple(_placements(metadata, topics))
        readable = [one for one in placements if one.leader is not None]
        ends = _ends(admin, kafka, readable)
        stages = tuple(one for one in stage_topics(Topics(kafka.topic_prefix)) if _is_readable(one, readable))
        before = {one.stage: _committed(settings, one, topics) for one in stages}
        positions = _positions(settings, stages, topics)
        after = {one.stage: _committed(settings, one, topics) for one in stages}
        groups = {
            one.stage: GroupFacts(*_group(admin, settings, one), before[one.stage], after[one.stage]) for one in stages
        }
        hanging = _open_transactions(admin, kafka, readable, ends)
        still = standstills(settings, stages, groups, ends)
    return Facts(
        settings=settings,
        version=importlib.metadata.version("pegel"),
        brokers=len(metadata.brokers),
        controller=None if controller is None else controller.id,
        features=finalized_features(replace(client_access(kafka), request_timeout_ms=kafka.request_timeout_ms)),
        specs=wanted,
        topics=topics,
        placements=placements,
        ends=ends,
        stages=stages,
        groups=groups,
        positions=positions,
        open_transactions=hanging,
        standstills=still,
        configured_catalog=_configured_catalog(settings),
    )


def _is_readable(stage: StageTopics, readable: Iterable[Placement]) -> bool:
    return {stage.input, stage.changelog} <= {one.topic for one in readable}


def _placements(metadata: Any, names: Iterable[str]) -> Iterable[Placement]:
    for name in names:
        for number, one in sorted(metadata.topics[name].partitions.items()):
            leader = one.leader if one.leader >= 0 else None
            yield Placement(name, number, leader, len(one.replicas), len(one.isrs))


def _ends(admin: Any, kafka: KafkaSettings, placements: Iterable[Placement]) -> dict[str, dict[int, Ends]]:
    partitions = [TopicPartition(one.topic, one.partition) for one in placements]
    begin = _listed(admin, kafka, partitions, OffsetSpec.earliest(), IsolationLevel.READ_UNCOMMITTED)
    stable = _listed(admin, kafka, partitions, OffsetSpec.latest(), IsolationLevel.READ_COMMITTED)
    high = _listed(admin, kafka, partitions, OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED)
    found: dict[str, dict[int, Ends]] = {}
    for key in begin:
        found.setdefault(key[0], {})[key[1]] = Ends(begin[key], stable[key], high[key])
    return found


def _listed(
    admin: Any, kafka: KafkaSettings, partitions: list[TopicPartition], spec: Any, isolation: Any
) -> dict[tuple[str, int], int]:
    if not partitions:
        return {}

    def ask() -> dict[tuple[str, int], int]:
        futures = admin.list_offsets(
            dict.fromkeys(partitions, spec), isolation_level=isolation, request_timeout=timeout_s(kafka)
        )
        return {(tp.topic, tp.partition): int(future.result().offset) for tp, future in futures.items()}

    return once_led(admin, kafka, ask)


def _open_transactions(
    admin: Any, kafka: KafkaSettings, placements: Iterable[Placement], ends: Mapping[str, Mapping[int, Ends]]
) -> tuple[OpenTransaction, ...]:
    suspects = [one for one in placements if (seen := ends[one.topic][one.partition]).stable < seen.high]
    if not suspects:
        return ()
    time.sleep(OPEN_WATCHED_S)
    again = _ends(admin, kafka, suspects)
    return tuple(
        OpenTransaction(one.topic, one.partition, now.stable, OPEN_WATCHED_S)
        for one in suspects
        if (now := again[one.topic][one.partition]).stable < now.high
        and now.stable == ends[one.topic][one.partition].stable
    )


def _committed(settings: Settings, stage: StageTopics, topics: Mapping[str, TopicState]) -> dict[int, int]:
    return committed_offsets(settings.kafka, stage.group, stage.input, range(topics[stage.input].partitions))


def _group(admin: Any, settings: Settings, stage: StageTopics) -> tuple[str, tuple[Member, ...]]:
    state, members = described_group(admin, settings.kafka, stage.group)
    return state, tuple(
        Member(one.client_id, one.group_instance_id or None, _given(one, stage.input)) for one in members
    )


def _given(member: Any, topic: str) -> frozenset[int]:
    return frozenset(one.partition for one in member.assignment.topic_partitions if one.topic == topic)


def _positions(
    settings: Settings, stages: Iterable[StageTopics], topics: Mapping[str, TopicState]
) -> dict[str, dict[int, int | None]]:
    with LogReader(settings.kafka) as reader:
        return {
            one.stage: {
                partition: ending.position.next if (ending := reader.ending(one.changelog, partition)).found else None
                for partition in range(topics[one.changelog].partitions)
            }
            for one in stages
        }


def _configured_catalog(settings: Settings) -> str | None:
    try:
        return configured_program(settings).version
    except InvalidSchemaError:
        return None
