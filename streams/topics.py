"""The one definition of the topics: their names, how they are cut and how long they are kept.

Theory of operation. Producers' events (`product.events.v1`, any key) are re-keyed by account into
`account.events.v1`, the only input of the engine; transitions and memberships come out of it; the router re-keys
transitions by destination into `notifier.inbox.v1`, and the courier turns them into actions. What a stage remembers
lies in a changelog with exactly as many partitions as the stage's input, so that a partition's state moves with it.
Partitions decide which worker owns an account: to change their
number re-maps accounts, so it never happens by itself.

Retention counts from a record's own timestamp. Events carry their arrival time, however long ago that was: they are
kept for ever by default, or history that is published later would be deleted within minutes of its arrival.
Everything else is stamped when it is written.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from streams.limits import RECORD_BYTES_MAX
from streams.runtime.options import COMPACTION_LAG_MS, Guarantee
from streams.settings import Settings

LONG_MAX: Final = (1 << 63) - 1
DAY_MS: Final = 86_400_000
FOREVER_MS: Final = -1
CLOCK_AHEAD_MAX_MS: Final = 3_600_000
# A record of RECORD_BYTES_MAX has a key, headers and a batch around it; intake must see larger ones to reject them.
EVENT_BATCH_BYTES_MAX: Final = 2 * RECORD_BYTES_MAX
# A dead letter wraps what was rejected, a changelog row holds a whole account.
WRAPPED_BATCH_BYTES_MAX: Final = 4 * RECORD_BYTES_MAX
CHANGELOG_SEGMENT_BYTES: Final = 64 << 20
CHANGELOG_SEGMENT_MS: Final = 6 * 3_600_000


class Cleanup(StrEnum):
    DELETE = "delete"
    COMPACT = "compact"


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """How one topic must look on the cluster."""

    name: str
    partitions: int
    replication_factor: int
    cleanup: Cleanup
    retention_ms: int
    batch_bytes_max: int
    min_insync_replicas: int
    purpose: str
    extra: tuple[tuple[str, str], ...] = ()

    @property
    def configs(self) -> dict[str, str]:
        """Topic configuration, complete: what is left out here would be left to the broker's own defaults."""
        return {
            "cleanup.policy": self.cleanup.value,
            "retention.ms": str(self.retention_ms),
            "retention.bytes": "-1",
            "max.message.bytes": str(self.batch_bytes_max),
            "min.insync.replicas": str(self.min_insync_replicas),
            "compression.type": "producer",
            "message.timestamp.type": "CreateTime",
            "message.timestamp.before.max.ms": str(LONG_MAX),
            "message.timestamp.after.max.ms": str(CLOCK_AHEAD_MAX_MS),
            **dict(self.extra),
        }


@dataclass(frozen=True, slots=True)
class Topics:
    """Names of all topics, consumer groups and transactional ids of one deployment."""

    prefix: str = ""
    product_events: str = field(init=False)
    account_events: str = field(init=False)
    account_events_late: str = field(init=False)
    transitions: str = field(init=False)
    inbox: str = field(init=False)
    membership: str = field(init=False)
    catalogs: str = field(init=False)
    actions: str = field(init=False)
    product_events_dlq: str = field(init=False)
    account_events_dlq: str = field(init=False)
    transitions_dlq: str = field(init=False)
    dead_letter_marks: str = field(init=False)
    identity_changelog: str = field(init=False)
    accounts_changelog: str = field(init=False)
    router_changelog: str = field(init=False)
    deliveries_changelog: str = field(init=False)

    def __post_init__(self) -> None:
        for attribute, name in NAMES.items():
            object.__setattr__(self, attribute, self.prefix + name)

    def named(self, name: str) -> str:
        """The topic that a user means, who may leave the prefix out."""
        known = name in NAMES.values()
        return name if not known and name.startswith(self.prefix) else self.prefix + name

    def group(self, stage: str) -> str:
        return f"{self.prefix}pegel.{stage}"

    def transactional_id(self, stage: str, partition: int) -> str:
        """One id per stage and input partition: whoever owns the partition next fences the last owner."""
        return f"{self.prefix}pegel.{stage}.{partition}"

    def all(self) -> tuple[str, ...]:
        return tuple(self.prefix + name for name in NAMES.values())


NAMES: Final[dict[str, str]] = {
    "product_events": "product.events.v1",
    "account_events": "account.events.v1",
    "account_events_late": "account.events.v1.late",
    "transitions": "segments.transitions.v1",
    "inbox": "notifier.inbox.v1",
    "membership": "segments.membership.v1",
    "catalogs": "segments.catalogs.v1",
    "actions": "playbook.actions.v1",
    "product_events_dlq": "product.events.v1.dlq",
    "account_events_dlq": "account.events.v1.dlq",
    "transitions_dlq": "segments.transitions.v1.dlq",
    "dead_letter_marks": "dead.letters.v1.marks",
    "identity_changelog": "intake.identity.v1.changelog",
    "accounts_changelog": "engagement.accounts.v1.changelog",
    "router_changelog": "notifier.router.v1.changelog",
    "deliveries_changelog": "notify.deliveries.v1.changelog",
}

# Read from its beginning whenever a partition moves: compacted soon, in small segments, or start-up gets slow.
CHANGELOG_CONFIGS: Final = (
    ("min.cleanable.dirty.ratio", "0.1"),
    ("segment.bytes", str(CHANGELOG_SEGMENT_BYTES)),
    ("segment.ms", str(CHANGELOG_SEGMENT_MS)),
)

# Without transactions a row may have to be undone: until then compaction must leave what it replaced.
ACKED_CHANGELOG_CONFIGS: Final = (("min.compaction.lag.ms", str(COMPACTION_LAG_MS)),)


def specs(settings: Settings) -> tuple[TopicSpec, ...]:
    """Every topic of a deployment, in the order in which records flow."""
    kafka, kept = settings.kafka, settings.topics
    topics = Topics(kafka.topic_prefix)

    def spec(
        name: str, purpose: str, retention_days: float | None, bytes_max: int = EVENT_BATCH_BYTES_MAX
    ) -> TopicSpec:
        retention_ms = FOREVER_MS if retention_days is None else round(retention_days * DAY_MS)
        return TopicSpec(
            name, kafka.partitions, kafka.replication_factor, Cleanup.DELETE, retention_ms, bytes_max,
            kafka.min_insync_replicas, purpose,
        )  # fmt: skip

    def compacted(
        name: str, purpose: str, partitions: int = kafka.partitions, more: tuple[tuple[str, str], ...] = ()
    ) -> TopicSpec:
        return TopicSpec(
            name, partitions, kafka.replication_factor, Cleanup.COMPACT, FOREVER_MS, WRAPPED_BATCH_BYTES_MAX,
            kafka.min_insync_replicas, purpose, CHANGELOG_CONFIGS + more,
        )  # fmt: skip

    def changelog(name: str, purpose: str) -> TopicSpec:
        acked = settings.runtime.guarantee is Guarantee.AT_LEAST_ONCE
        return compacted(name, purpose, more=ACKED_CHANGELOG_CONFIGS if acked else ())

    events, rejected = kept.event_retention_days, kept.dead_letter_retention_days
    as_sent = events if kept.product_event_retention_days is None else kept.product_event_retention_days
    return (
        spec(topics.product_events, "events as producers send them, any key", as_sent),
        spec(topics.product_events_dlq, "what intake rejected, and why", rejected, WRAPPED_BATCH_BYTES_MAX),
        changelog(topics.identity_changelog, "which account a user belongs to"),
        spec(topics.account_events, "events and control records, key = account: the engine's log", events),
        spec(topics.account_events_late, "activity older than the windows", events),
        spec(topics.account_events_dlq, "what engagement rejected, and why", rejected, WRAPPED_BATCH_BYTES_MAX),
        changelog(topics.accounts_changelog, "engagement state of each account"),
        compacted(topics.catalogs, "catalogs by content hash", partitions=1),
        spec(topics.transitions, "who entered or left which segment", kept.transition_retention_days),
        compacted(topics.membership, "current segments of each account"),
        spec(topics.transitions_dlq, "what could not be delivered, and why", rejected, WRAPPED_BATCH_BYTES_MAX),
        changelog(topics.router_changelog, "how far the router has come"),
        spec(topics.inbox, "transitions by destination, and commands", kept.inbox_retention_days),
        changelog(topics.deliveries_changelog, "open deliveries, and what the plan of each destination remembers"),
        compacted(topics.dead_letter_marks, "which dead letters were tried again or dropped", partitions=1),
        spec(topics.actions, "what was delivered where, with the outcome", kept.action_retention_days),
    )
