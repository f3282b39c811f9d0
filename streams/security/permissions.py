"""What each principal must be allowed on the cluster, derived from what it does.

The one list behind `pegel topics acls`, the check of a worker before it starts, and the documentation.
Kafka lets who may read, write, delete or alter a thing also see it (describe), who may alter configurations see them,
and who may write to any topic write idempotently; what follows from another permission is not listed.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol


class Resource(StrEnum):
    TOPIC = "topic"
    GROUP = "group"
    TRANSACTIONAL_ID = "transactional-id"
    CLUSTER = "cluster"


class Operation(StrEnum):
    READ = "Read"
    WRITE = "Write"
    CREATE = "Create"
    DELETE = "Delete"
    ALTER = "Alter"
    DESCRIBE = "Describe"
    DESCRIBE_CONFIGS = "DescribeConfigs"
    ALTER_CONFIGS = "AlterConfigs"


# Numbers of Kafka's protocol (AclOperation).
OPERATION_CODES: Final = {
    Operation.READ: 3,
    Operation.WRITE: 4,
    Operation.CREATE: 5,
    Operation.DELETE: 6,
    Operation.ALTER: 7,
    Operation.DESCRIBE: 8,
    Operation.DESCRIBE_CONFIGS: 10,
    Operation.ALTER_CONFIGS: 11,
}


@dataclass(frozen=True, slots=True, order=True)
class Permission:
    """One access control entry, but for whom it is."""

    resource: Resource
    name: str
    operation: Operation
    prefixed: bool = False
    """The name stands for all names that begin with it."""

    def __str__(self) -> str:
        return f"{self.operation} on {self.resource} {self.name}{'*' if self.prefixed else ''}"


def of_topics(names: Iterable[str], *operations: Operation) -> Iterator[Permission]:
    for name in names:
        for operation in operations:
            yield Permission(Resource.TOPIC, name, operation)


def by_thing(permissions: Iterable[Permission]) -> dict[tuple[Resource, str, bool], list[Operation]]:
    """All that is allowed on a thing, by what it is, its name, and whether that stands for all that begin with it."""
    things: dict[tuple[Resource, str, bool], list[Operation]] = {}
    for one in permissions:
        things.setdefault((one.resource, one.name, one.prefixed), []).append(one.operation)
    return things


COMMAND_GROUPS: Final = "pegel-"
"""Who reads without a group needs the name of one for its client all the same, which looks up where it would be."""


class Shape(Protocol):
    """What a stage reads and writes; a `StageSpec` says it."""

    @property
    def name(self) -> str: ...
    @property
    def input_topic(self) -> str: ...
    @property
    def changelog_topic(self) -> str: ...
    @property
    def output_topics(self) -> tuple[str, ...]: ...
    @property
    def read_topics(self) -> tuple[str, ...]: ...


def of_worker(stage: Shape, group: str, *, transactional: bool) -> tuple[Permission, ...]:
    """A stage reads its input in a group, keeps state in its changelog, and writes both, in transactions if it may."""
    ids = Permission(Resource.TRANSACTIONAL_ID, f"{group}.", Operation.WRITE, prefixed=True)
    reading = Permission(Resource.GROUP, COMMAND_GROUPS, Operation.DESCRIBE, prefixed=True)
    return tuple(
        dict.fromkeys(
            (
                *of_topics((stage.input_topic, stage.changelog_topic, *stage.read_topics), Operation.READ),
                *of_topics((stage.changelog_topic, *stage.output_topics), Operation.WRITE),
                Permission(Resource.GROUP, group, Operation.READ),
                *((reading,) if stage.read_topics else ()),
                *((ids,) if transactional else ()),
            )
        )
    )
