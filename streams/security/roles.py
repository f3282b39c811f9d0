"""Who works on a deployment's topics, and the least that each must be allowed.

A role is a principal of its own on the brokers, as far as an operator wants to tell them apart; nothing is lost by
giving two roles to one principal. Workers are listed by what their stage says that it reads and writes.
"""

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from streams.security.permissions import (
    COMMAND_GROUPS,
    Operation,
    Permission,
    Resource,
    Shape,
    by_thing,
    of_topics,
    of_worker,
)

if TYPE_CHECKING:
    from streams.topics import Topics


class Role(StrEnum):
    INTAKE = "intake"
    ENGAGEMENT = "engagement"
    ROUTER = "router"
    COURIER = "courier"
    PUBLISHER = "publisher"
    OPERATOR = "operator"
    DLQ = "dlq"
    READER = "reader"
    ADMINISTRATOR = "administrator"
    DOCTOR = "doctor"
    CANARY = "canary"


CONTROL: Final = "control"
"""Commands that write control records do so in transactions; their ids begin as a stage's would that is called so."""
DEAD_LETTERS: Final = "dlq"
"""The same for retrying dead letters, which is one transactional id: whoever begins fences the one before."""
STAGES: Final = (Role.INTAKE, Role.ENGAGEMENT, Role.ROUTER, Role.COURIER)

PURPOSES: Final = {
    Role.INTAKE: "runs 'pegel worker intake'",
    Role.ENGAGEMENT: "runs 'pegel worker engagement'",
    Role.ROUTER: "runs 'pegel worker router'",
    Role.COURIER: "runs 'pegel worker courier'",
    Role.PUBLISHER: "sends events, with 'pegel publish', 'pegel link serve' or a producer of your own",
    Role.OPERATOR: "writes control records: 'pegel catalog', 'erase', 'deliveries', 'destination', 'silence'",
    Role.DLQ: "looks at what was refused, tries it again or drops it: 'pegel dlq'",
    Role.READER: "reads what came of it: 'pegel dump', 'explain --from-kafka', 'playbook results', your own consumers",
    Role.ADMINISTRATOR: "lays the topics out: 'pegel topics apply'",
    Role.DOCTOR: "looks at everything and changes nothing: 'pegel doctor', 'topics show'",
    Role.CANARY: "publishes for accounts of its own and looks what comes of it: 'pegel canary'",
}


def stage_permissions(stage: Shape, topics: "Topics", *, transactional: bool) -> tuple[Permission, ...]:
    return of_worker(stage, topics.group(stage.name), transactional=transactional)


def command_permissions(role: Role, topics: "Topics") -> tuple[Permission, ...]:
    """For the roles that are no worker."""
    reading = Permission(Resource.GROUP, COMMAND_GROUPS, Operation.DESCRIBE, prefixed=True)
    match role:
        case Role.PUBLISHER:
            return tuple(of_topics([topics.product_events], Operation.WRITE))
        case Role.OPERATOR:
            control = f"{topics.group(CONTROL)}."
            return (
                *of_topics([topics.account_events, topics.catalogs], Operation.READ, Operation.WRITE),
                *of_topics([topics.inbox], Operation.WRITE),
                *of_topics([topics.deliveries_changelog, topics.actions], Operation.READ),
                Permission(Resource.TRANSACTIONAL_ID, control, Operation.WRITE, prefixed=True),
                reading,
            )
        case Role.DLQ:
            refused = [topics.product_events_dlq, topics.account_events_dlq, topics.transitions_dlq]
            return (
                *of_topics(refused, Operation.READ),
                *of_topics([topics.product_events, topics.account_events, topics.transitions], Operation.WRITE),
                *of_topics([topics.dead_letter_marks], Operation.READ, Operation.WRITE),
                Permission(Resource.TRANSACTIONAL_ID, topics.group(DEAD_LETTERS), Operation.WRITE),
                reading,
            )
        case Role.READER:
            return (*of_topics(topics.all(), Operation.READ), reading)
        case Role.ADMINISTRATOR:
            return tuple(of_topics(topics.all(), Operation.CREATE, Operation.ALTER, Operation.ALTER_CONFIGS))
        case Role.DOCTOR:
            groups = (Permission(Resource.GROUP, topics.group(one.value), Operation.DESCRIBE) for one in STAGES)
            return (*of_topics(topics.all(), Operation.READ, Operation.DESCRIBE_CONFIGS), *groups, reading)
        case Role.CANARY:
            return (
                *of_topics([topics.product_events], Operation.WRITE),
                *of_topics([topics.account_events], Operation.DESCRIBE),
                *of_topics([topics.transitions, topics.catalogs], Operation.READ),
                reading,
            )
        case Role.INTAKE | Role.ENGAGEMENT | Role.ROUTER | Role.COURIER:
            raise AssertionError(f"{role} is a worker: its stage says what it needs")


def kafka_acls(principal: str, permissions: tuple[Permission, ...]) -> list[str]:
    """Arguments of Kafka's own tool: a line for each thing, with all that is allowed on it."""
    return [
        f"--add --allow-principal {principal} "
        + " ".join(f"--operation {operation}" for operation in operations)
        + f" --{resource} {name}"
        + (" --resource-pattern-type prefixed" if prefixed else "")
        for (resource, name, prefixed), operations in by_thing(permissions).items()
    ]


def as_row(permission: Permission) -> dict[str, str]:
    """An entry for machines; keys are stable."""
    return {
        "resource": permission.resource.value,
        "name": permission.name,
        "pattern": "prefixed" if permission.prefixed else "literal",
        "operation": permission.operation.value,
    }
