"""Bring the topics of a cluster in line with `streams.topics`, and say what differs.

    on the cluster                  difference        what `apply` does
    topic is not there              missing           creates it
    a configuration value differs   config            sets it
    fewer partitions                partitions        adds them only when told to grow: accounts would move
    more partitions                 partitions        nothing: Kafka cannot take partitions away
    other number of copies          replication       nothing: moving copies is the cluster operator's work

Configuration that the specification does not name is left alone. Applying twice changes nothing the second time.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from streams.errors import ExpectedError
from streams.kafka_client import admin_client, is_mock_cluster, reaching, timeout_s
from streams.settings import KafkaSettings
from streams.topics import TopicSpec

OPERATION_TIMEOUT_S: Final = 30.0
POLL_S: Final = 0.05
_PATIENCE: Final = {"operation_timeout": OPERATION_TIMEOUT_S, "request_timeout": OPERATION_TIMEOUT_S}


class TopicsNotAppliedError(ExpectedError):
    """The cluster accepted a change and did not carry it out in time."""


class DifferenceKind(StrEnum):
    MISSING = "missing"
    CONFIG = "config"
    PARTITIONS = "partitions"
    REPLICATION = "replication"


class Outcome(StrEnum):
    """What became of a difference."""

    CREATED = "created"
    ALTERED = "altered"
    GROWN = "grown"
    LEFT_ALONE = "left alone"
    PLANNED = "planned"


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as the cluster has it."""

    name: str
    partitions: int
    replication_factor: int
    configs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    topic: str
    kind: DifferenceKind
    setting: str
    found: str | None
    wanted: str


@dataclass(frozen=True, slots=True)
class Change:
    """A difference, what was done about it, and why nothing was, if so."""

    difference: Difference
    outcome: Outcome
    reason: str = ""


def differences(spec: TopicSpec, state: TopicState | None) -> tuple[Difference, ...]:
    if state is None:
        wanted = f"{spec.partitions} partitions, {spec.cleanup.value}"
        return (Difference(spec.name, DifferenceKind.MISSING, "topic", None, wanted),)
    found: list[Difference] = []
    if state.partitions != spec.partitions:
        found.append(_numbers(spec.name, DifferenceKind.PARTITIONS, state.partitions, spec.partitions))
    if state.replication_factor != spec.replication_factor:
        found.append(_numbers(spec.name, DifferenceKind.REPLICATION, state.replication_factor, spec.replication_factor))
    found.extend(
        Difference(spec.name, DifferenceKind.CONFIG, name, state.configs.get(name), wanted)
        for name, wanted in spec.configs.items()
        if state.configs.get(name) != wanted
    )
    return tuple(found)


def planned(difference: Difference, *, grow: bool) -> Change:
    """What `apply` will do about a difference."""
    match difference.kind:
        case DifferenceKind.MISSING:
            return Change(difference, Outcome.CREATED)
        case DifferenceKind.CONFIG:
            return Change(difference, Outcome.ALTERED)
        case DifferenceKind.REPLICATION:
            return Change(difference, Outcome.LEFT_ALONE, "copies are moved with kafka-reassign-partitions")
        case DifferenceKind.PARTITIONS:
            if int(difference.found or 0) > int(difference.wanted):
                return Change(difference, Outcome.LEFT_ALONE, "Kafka cannot take partitions away")
            if not grow:
                return Change(difference, Outcome.LEFT_ALONE, "accounts would move to other partitions; --grow does it")
            return Change(difference, Outcome.GROWN)


class TopicAdmin:
    """The cluster's side: reads states, carries out changes."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka

    def read(self, names: Iterable[str]) -> dict[str, TopicState]:
        """States of those topics that exist."""
        with reaching(self._kafka) as complaints:
            admin = admin_client(self._kafka, complaints)
            cluster = admin.list_topics(timeout=timeout_s(self._kafka))
            if is_mock_cluster(cluster):
                raise ExpectedError(f"{self._kafka.bootstrap} is a mock cluster: topics make themselves there")
            metadata = cluster.topics
            present = [name for name in names if name in metadata and metadata[name].error is None]
            configs = self._read_configs(admin, present)
        return {
            name: TopicState(
                name,
                len(metadata[name].partitions),
                min((len(one.replicas) for one in metadata[name].partitions.values()), default=0),
                configs[name],
            )
            for name in present
            if name in configs
        }

    def apply(self, specs: Sequence[TopicSpec], *, grow: bool = False, dry_run: bool = False) -> tuple[Change, ...]:
        """Carry out what can be, and return every difference with its outcome."""
        states = self.read(spec.name for spec in specs)
        changes = [planned(one, grow=grow) for spec in specs for one in differences(spec, states.get(spec.name))]
        if dry_run:
            return tuple(
                change if change.outcome is Outcome.LEFT_ALONE else Change(change.difference, Outcome.PLANNED)
                for change in changes
            )
        by_name = {spec.name: spec for spec in specs}
        self._create([by_name[one.difference.topic] for one in changes if one.outcome is Outcome.CREATED])
        self._grow([one.difference for one in changes if one.outcome is Outcome.GROWN])
        self._alter([one.difference for one in changes if one.outcome is Outcome.ALTERED])
        self._await_visible(specs, changes)
        return tuple(changes)

    def _await_visible(self, specs: Sequence[TopicSpec], changes: Sequence[Change]) -> None:
        """A change is known to the controller at once and to each broker a little later: wait for that."""
        left_alone = {change.difference for change in changes if change.outcome is Outcome.LEFT_ALONE}
        if len(left_alone) == len(changes):
            return
        deadline = time.monotonic() + OPERATION_TIMEOUT_S
        while True:
            states = self.read(spec.name for spec in specs)
            rest = [one for spec in specs for one in differences(spec, states.get(spec.name)) if one not in left_alone]
            if not rest:
                return
            if time.monotonic() > deadline:
                raise TopicsNotAppliedError(
                    f"the brokers still differ {OPERATION_TIMEOUT_S:.0f} s after the change, first in {rest[0]}; "
                    "see the brokers' logs"
                )
            time.sleep(POLL_S)

    def delete(self, names: Sequence[str]) -> None:
        """Remove topics; one that is not there is no error."""
        if not names:
            return
        with reaching(self._kafka) as complaints:
            admin = admin_client(self._kafka, complaints)
            futures = admin.delete_topics(list(names), **_PATIENCE)
            _await_all(futures, unless=KafkaError.UNKNOWN_TOPIC_OR_PART)

    def names(self) -> tuple[str, ...]:
        with reaching(self._kafka) as complaints:
            admin = admin_client(self._kafka, complaints)
            return tuple(admin.list_topics(timeout=timeout_s(self._kafka)).topics)

    def _read_configs(self, admin: Any, names: Sequence[str]) -> dict[str, dict[str, str]]:
        """Configurations of those topics that the broker that is asked knows: of a new one it may hear last."""
        if not names:
            return {}
        asked = admin.describe_configs(
            [ConfigResource(ResourceType.TOPIC, name) for name in names], request_timeout=timeout_s(self._kafka)
        )
        futures = {resource.name: future for resource, future in asked.items()}
        _await_all(futures, unless=KafkaError.UNKNOWN_TOPIC_OR_PART)
        return {
            name: {entry.name: entry.value for entry in future.result().values() if entry.value is not None}
            for name, future in futures.items()
            if future.exception() is None
        }

    def _create(self, specs: Sequence[TopicSpec]) -> None:
        if not specs:
            return
        with reaching(self._kafka) as complaints:
            admin = admin_client(self._kafka, complaints)
            futures = admin.create_topics(
                [
                    NewTopic(
                        spec.name,
                        num_partitions=spec.partitions,
                        replication_factor=spec.replication_factor,
                        config=spec.configs,
                    )
                    for spec in specs
                ],
                **_PATIENCE,
            )
            _await_all(futures, unless=KafkaError.TOPIC_ALREADY_EXISTS)

    def _grow(self, wanted: Sequence[Difference]) -> None:
        if not wanted:
            return
        with reaching(self._kafka) as complaints:
            admin = admin_client(self._kafka, complaints)
            futures = admin.create_partitions(
                [NewPartitions(one.topic, int(one.wanted)) for one in wanted], **_PATIENCE
            )
            _await_all(futures)

    def _alter(self, wanted: Sequence[Difference]) -> None:
        if not wanted:
            return
        entries: dict[str, list[Any]] = {}
        for one in wanted:
            entry = ConfigEntry(
                one.setting,
                one.wanted,
                source=ConfigSource.DYNAMIC_TOPIC_CONFIG,
                incremental_operation=AlterConfigOpType.SET,
            )
            entries.setdefault(one.topic, []).append(entry)
        resources = [
            ConfigResource(ResourceType.TOPIC, name, incremental_configs=listed) for name, listed in entries.items()
        ]
        with reaching(self._kafka) as complaints:
            admin = admin_client(self._kafka, complaints)
            futures = admin.incremental_alter_configs(resources, request_timeout=timeout_s(self._kafka))
            _await_all({resource.name: future for resource, future in futures.items()})


def _await_all(futures: Mapping[str, Future[Any]], unless: int | None = None) -> None:
    """Wait for every topic's future before raising the first failure: none is left to report to nobody."""
    failures: list[KafkaException] = []
    for topic, future in futures.items():
        try:
            future.result()
        except KafkaException as error:
            cause = error.args[0]
            if cause.code() != unless:
                failures.append(KafkaException(KafkaError(cause.code(), f"topic {topic}: {cause.str()}")))
    if failures:
        raise failures[0]


def _numbers(topic: str, kind: DifferenceKind, found: int, wanted: int) -> Difference:
    return Difference(topic, kind, kind.value, str(found), str(wanted))
