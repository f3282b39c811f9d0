"""What was found on a cluster, as plain values: everything that a check may look at."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from streams.engine.codec import VERSION
from streams.settings import Settings
from streams.topic_admin import TopicState
from streams.topics import Topics, TopicSpec


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the copies of one partition are."""

    topic: str
    partition: int
    leader: int | None
    replicas: int
    in_sync: int

    @property
    def name(self) -> str:
        return f"{self.topic} {self.partition}"


@dataclass(frozen=True, slots=True)
class Ends:
    """How far one partition can be read: `stable` ends before the first open transaction, `high` does not care."""

    begin: int
    stable: int
    high: int


@dataclass(frozen=True, slots=True)
class Member:
    """A worker as its group knows it."""

    client: str
    instance_id: str | None
    partitions: frozenset[int]
    """Those of the stage's input that it was given."""


@dataclass(frozen=True, slots=True)
class StageTopics:
    """What one stage reads and remembers in."""

    stage: str
    group: str
    input: str
    changelog: str


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """One stage's group. Offsets by partition, read before and after the changelog's position rows."""

    state: str
    members: tuple[Member, ...]
    committed_before: Mapping[int, int]
    committed_after: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """A partition whose readers wait for a transaction to end, seen twice at the same offset."""

    topic: str
    partition: int
    since_offset: int
    watched_s: float


@dataclass(frozen=True, slots=True)
class Standstill:
    """A partition with records to read, and a group with members, whose offset was the same for a while."""

    stage: str
    partition: int
    offset: int
    behind: int
    """Offsets up to the last stable one, markers of transactions included."""
    owner: str | None
    """The member that was given it; None: nobody was, at that moment."""
    others_move: bool
    """Whether other partitions of the stage made progress meanwhile."""
    watched_s: float


class Verdict(StrEnum):
    """How an account's stored state compares with what the log says."""

    EQUAL = "equal"
    DIFFERS = "differs"
    MISSING = "missing in the state"
    NOT_IN_LOG = "not in the log"
    UNREADABLE = "unreadable"
    NOT_COMPARED = "not compared"
    """The log has lost its beginning."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One account: its state against the log, and its membership record against its state."""

    account_id: str
    partition: int
    home: int
    """The partition that its key belongs to."""
    verdict: Verdict
    fields: tuple[str, ...] = ()
    """What differs, if anything does."""
    membership: str | None = None
    """What is wrong with the membership record; None: nothing."""


@dataclass(frozen=True, slots=True)
class StatePartition:
    """One partition of the engagement state, as its changelog has it."""

    partition: int
    position: int | None
    accounts: int
    """Rows of accounts, superseded ones included."""
    unreadable: int
    """Accounts whose row this version cannot read."""
    stray: int
    """Rows after the last one that counts: no flush ended with them."""
    catalog: tuple[str, str] | None
    """Name and version of the catalog in force."""
    log_begin: int
    outdated: Mapping[int, int] = field(default_factory=dict)
    """By version: accounts that are stored in another one than the settings say."""


@dataclass(frozen=True, slots=True)
class StateFacts:
    """The engagement state, and the sample of it that was held against the log."""

    partitions: tuple[StatePartition, ...]
    compared: tuple[Compared, ...]
    records_read: int
    version: int = VERSION
    """In which the settings say that accounts are stored."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that was found."""

    settings: Settings
    version: str
    """Of this program."""
    brokers: int
    controller: int | None
    features: Mapping[str, int] | None
    """Finalized features of the cluster; None: it would not say."""
    specs: tuple[TopicSpec, ...]
    topics: Mapping[str, TopicState]
    placements: tuple[Placement, ...]
    ends: Mapping[str, Mapping[int, Ends]]
    stages: tuple[StageTopics, ...]
    groups: Mapping[str, GroupFacts]
    positions: Mapping[str, Mapping[int, int | None]]
    """By stage and partition: what the changelog's position row says."""
    open_transactions: tuple[OpenTransaction, ...] = ()
    standstills: tuple[Standstill, ...] = ()
    configured_catalog: str | None = None
    """Version of the catalog that the settings name; None: it cannot be loaded here."""
    state: StateFacts | None = field(default=None)
    """None: not looked at, since topics are missing."""


def stage_topics(topics: Topics) -> tuple[StageTopics, ...]:
    return (
        StageTopics("intake", topics.group("intake"), topics.product_events, topics.identity_changelog),
        StageTopics("engagement", topics.group("engagement"), topics.account_events, topics.accounts_changelog),
        StageTopics("router", topics.group("router"), topics.transitions, topics.router_changelog),
        StageTopics("courier", topics.group("courier"), topics.inbox, topics.deliveries_changelog),
    )
