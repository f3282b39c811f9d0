"""Every metric there is: name, unit, labels with their words, who shows it, and the question that it answers.

This table is the only place. The registries (`metric_registry`) are built from it, `docs/metrics.md` is generated from
it (`metric_page`), and rules, alerts and dashboards are checked against it.

Rules. The prefix is ``pegel_``; base units (seconds, bytes, a ratio from 0 to 1); a counter ends in ``_total``. No
account, user or event name ever is a label. Every label has a bound, so that the number of series has one
(`series_max`). Words that are known beforehand are there from the start with 0: a rate can then be taken before the
first occurrence. Each worker process is one stage and says so in the label ``stage``; services other than workers have
no such label.

A stage counts without knowing Prometheus: its ``counts`` maps ``name`` or ``name:word`` (``name:word:word``) to a
total, its ``gauges`` maps such a name to a level. The last word may hold colons of its own. Names and words are those
of the definitions here that are ``fed_by`` the stage; the runtime exports the growth of the one, and of the other the
sum or the greatest of the partitions.
"""

from dataclasses import dataclass
from enum import StrEnum
from math import prod
from typing import Final

from schemas.action import Reason
from schemas.dead_letter import RejectReason
from schemas.inbox import CommandKind
from schemas.playbook import DESTINATIONS_MAX
from streams.limits import OVERDUE_COUNTED_MAX
from streams.runtime.failure import FailReason
from streams.tracing.outbox import OUTCOMES

PREFIX: Final = "pegel_"

# Who shows a metric: workers, by their stage, and two services.
STAGES: Final = ("intake", "engagement", "router", "courier")
LINK: Final = ("link",)
CANARY: Final = ("canary",)
INTAKE: Final = ("intake",)
ENGAGEMENT: Final = ("engagement",)
ROUTER: Final = ("router",)
COURIER: Final = ("courier",)

# The seconds that matter: an event is visible in some 60 ms (p50) to 180 ms (p99), the objective is 5 s, and what takes
# ten minutes is an incident whatever it is exactly.
FRESHNESS_BUCKETS: Final = (
    0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
)  # fmt: skip
TIME_BUCKETS: Final = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
RECORD_BUCKETS: Final = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
DELAY_BUCKETS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CANARY_BUCKETS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)

HISTORY_S: Final = 86_400
"""A record that arrived longer ago than this before it was applied is history that somebody publishes: it says nothing
about how fresh the output is, and is left out of `freshness_seconds`."""

OTHER: Final = "_other"
"""The word for everything beyond a label's bound."""
SEGMENTS_SHOWN_MAX: Final = 200
PARTITIONS_SHOWN_MAX: Final = 256
CATALOGS_SHOWN_MAX: Final = 4


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class FedBy(StrEnum):
    RUNTIME = "runtime"
    """Or whatever service shows it."""
    STAGE = "stage"


class Over(StrEnum):
    """What a worker shows of the levels of its partitions."""

    SUM = "sum"
    MAX = "max"


class Whence(StrEnum):
    """Where a label's words come from."""

    CLOSED = "closed"
    """They are written down here."""
    DEPLOYED = "deployed"
    """The deployment names them: known when the worker starts, and fixed."""
    FOUND = "found"
    """They come and go while the worker runs. A level's series vanish with their word."""


@dataclass(frozen=True, slots=True)
class Label:
    name: str
    words: tuple[str, ...] = ()
    """Where they are written down."""
    whence: Whence = Whence.CLOSED
    words_max: int = 0
    """Where they are not; what is beyond it is `OTHER`."""
    means: str = ""

    @property
    def bound(self) -> int:
        match self.whence:
            case Whence.CLOSED:
                return len(self.words)
            case Whence.DEPLOYED:
                return self.words_max
            case Whence.FOUND:
                return self.words_max + 1


@dataclass(frozen=True, slots=True)
class Definition:
    """One metric."""

    name: str
    """Without prefix and ``_total``."""
    kind: Kind
    text: str
    """What it is, in a sentence."""
    asks: str
    """The question it answers."""
    labels: tuple[Label, ...] = ()
    shown_by: tuple[str, ...] = STAGES
    unit: str = ""
    buckets: tuple[float, ...] = ()
    fed_by: FedBy = FedBy.RUNTIME
    over: Over = Over.SUM
    exemplars: bool = False
    staged: bool = True
    """Has the label `stage`."""

    @property
    def family(self) -> str:
        return PREFIX + self.name

    @property
    def metric(self) -> str:
        """The name that is asked for; a histogram's without ``_bucket``, ``_sum`` and ``_count``."""
        return self.family + "_total" if self.kind is Kind.COUNTER else self.family

    @property
    def samples(self) -> tuple[str, ...]:
        """The names of its series."""
        if self.kind is Kind.HISTOGRAM:
            return tuple(f"{self.family}_{part}" for part in ("bucket", "sum", "count"))
        return (self.metric,)

    @property
    def label_names(self) -> tuple[str, ...]:
        return (("stage",) if self.staged else ()) + tuple(label.name for label in self.labels)

    @property
    def series_max(self) -> int:
        """How many series one process shows at most."""
        each = len(self.buckets) + 3 if self.kind is Kind.HISTOGRAM else 1  # with +Inf, sum and count
        found = [label.bound for label in self.labels if label.whence is Whence.FOUND]
        fixed = prod(label.bound for label in self.labels if label.whence is not Whence.FOUND)
        # Words that are found together are bounded together: a catalog's version has one name.
        return each * fixed * max(found, default=1)


# -- words -----------------------------------------------------------------------------------------------------------

BREAKER_STATES: Final = ("closed", "open", "probing")
DIRECTIONS: Final = ("entered", "exited", "moved")
COLLECTIONS: Final = (
    "users",
    "teams",
    "event_names",
    "traits",
    "resources",
    "message_ids",
    "days",
    "identities",
    "nps_answers",
    "measure_values",
)
LINK_REQUESTS: Final = (
    "click", "head", "prefetch", "robot", "malformed", "unknown_key", "forged", "expired",
)  # fmt: skip
LINK_EVENTS: Final = ("written", "lost")
CANARY_OUTCOMES: Final = ("seen", "missed", "wrong")

REASON: Final = Label("reason", tuple(word.value for word in RejectReason), means="why")
DESTINATION: Final = Label(
    "destination", whence=Whence.DEPLOYED, words_max=DESTINATIONS_MAX, means="the playbook's destinations"
)
TOPIC: Final = Label("topic", whence=Whence.DEPLOYED, words_max=8, means="the topics that the stage writes to")
PARTITION: Final = Label(
    "partition", whence=Whence.FOUND, words_max=PARTITIONS_SHOWN_MAX, means="the input partitions that the worker has"
)
SEGMENT: Final = Label(
    "segment", whence=Whence.FOUND, words_max=SEGMENTS_SHOWN_MAX, means="the catalog's segments, in its order"
)
VERSION: Final = Label("version", whence=Whence.FOUND, words_max=CATALOGS_SHOWN_MAX, means="hash of its content")
NAME: Final = Label("name", whence=Whence.FOUND, words_max=CATALOGS_SHOWN_MAX, means="the name in it")


def _counted(
    name: str, text: str, asks: str, *labels: Label, shown_by: tuple[str, ...] = STAGES, unit: str = ""
) -> Definition:
    return Definition(name, Kind.COUNTER, text, asks, labels, shown_by, unit, fed_by=FedBy.STAGE)


def _level(
    name: str,
    text: str,
    asks: str,
    *labels: Label,
    shown_by: tuple[str, ...] = STAGES,
    unit: str = "",
    over: Over = Over.SUM,
) -> Definition:
    return Definition(name, Kind.GAUGE, text, asks, labels, shown_by, unit, fed_by=FedBy.STAGE, over=over)


# -- what is asked first: is it healthy, is it right -----------------------------------------------------------------

FRESH: Final = (
    Definition(
        "freshness_seconds",
        Kind.HISTOGRAM,
        "From the timestamp of an input record to the commit of what it led to.",
        "How old is what readers see? The objective is set on engagement's, which is end to end.",
        unit="seconds",
        buckets=FRESHNESS_BUCKETS,
        exemplars=True,
    ),
    Definition(
        "lag_records",
        Kind.GAUGE,
        "Records (and markers) that can be read but were not applied.",
        "How much work waits, and in which partition?",
        (PARTITION,),
    ),
    Definition(
        "lag_seconds",
        Kind.GAUGE,
        "Age of the oldest record that can be read but was not applied; 0 if there is none.",
        "How far behind is it, whatever the rate?",
        (PARTITION,),
        unit="seconds",
        over=Over.MAX,
    ),
    _level(
        "watermark_delay_seconds",
        "Wall clock minus the event clock of the slowest partition; 0 where all was read and no deadline is due.",
        "Is event time passing?",
        shown_by=ENGAGEMENT,
        unit="seconds",
        over=Over.MAX,
    ),
    _level(
        "overdue_deadlines",
        f"Deadlines whose time has come by the clock but that did not fire; of a partition at most "
        f"{OVERDUE_COUNTED_MAX:,} are counted.",
        "Does time alone still move accounts (trial ends, silence)?",
        shown_by=ENGAGEMENT,
    ),
    _level(
        "overdue_seconds",
        "By how much the oldest of the overdue deadlines is late; 0 if none is.",
        "Since when do deadlines wait?",
        shown_by=ENGAGEMENT,
        unit="seconds",
        over=Over.MAX,
    ),
    _level(
        "members",
        "Accounts in each segment; the canary's few are among them.",
        "Is a segment suddenly empty or full?",
        SEGMENT,
        shown_by=ENGAGEMENT,
    ),
    _counted(
        "transitions",
        "Segment transitions written; of a move, under the segment that was entered. The canary's are among them.",
        "Which segments move, and is it a flood or a silence?",
        SEGMENT,
        Label("direction", DIRECTIONS),
        shown_by=ENGAGEMENT,
    ),
    _level(
        "catalog_info",
        "1 for the catalog in force; two while a new one is taken over.",
        "Which rules decide, and do all workers have the same?",
        VERSION,
        NAME,
        shown_by=ENGAGEMENT,
        over=Over.MAX,
    ),
    Definition(
        "build_info",
        Kind.GAUGE,
        "1, with the version of the program, how its engine runs, and the Python below it.",
        "What is running, and is the roll-out through?",
        (
            Label("version", whence=Whence.DEPLOYED, words_max=1, means="of the program"),
            Label("engine", whence=Whence.DEPLOYED, words_max=1, means="compiled, interpreted"),
            Label("python", whence=Whence.DEPLOYED, words_max=1, means="of the interpreter"),
        ),
        (*STAGES, *LINK, *CANARY),
        staged=False,
    ),
)

# -- records ---------------------------------------------------------------------------------------------------------

RECORDS: Final = (
    Definition("records", Kind.COUNTER, "Records applied.", "What is the load?"),
    Definition("outputs", Kind.COUNTER, "Records written, by topic.", "What comes out?", (TOPIC,)),
    Definition("changelog_rows", Kind.COUNTER, "Rows of state written.", "How much does state cost the brokers?"),
    _counted("applied", "Events applied to their account.", "What reaches accounts?", shown_by=ENGAGEMENT),
    _counted(
        "rejected", "Records refused and sent to the dead-letter topic.", "Is a producer or a deploy broken?", REASON
    ),
    _counted(
        "duplicates",
        "Events dropped because their message id was known.",
        "Do producers send things twice?",
        shown_by=ENGAGEMENT,
    ),
    _counted(
        "late",
        "Activity too late for its windows, copied to the late topic.",
        "Do events come too late to count?",
        shown_by=ENGAGEMENT,
    ),
    _counted(
        "clock_ahead",
        "Events whose time was more than five minutes ahead of their arrival.",
        "Is a producer's clock wrong?",
        shown_by=ENGAGEMENT,
    ),
    _counted("deadlines", "Deadlines that fired.", "Does time alone move accounts?", shown_by=ENGAGEMENT),
    Definition(
        "records_lost",
        Kind.COUNTER,
        "Records that retention deleted before they were read.",
        "Was anything lost for good? Any value above 0 says so: it is counted while a worker starts.",
    ),
    _counted(
        "suppressed", "Events of accounts and users that were erased.", "Who still sends them?", shown_by=ENGAGEMENT
    ),
    _counted(
        "controls",
        "Control records applied.",
        "Did the clock, the percentiles, the catalog or an erasure arrive?",
        Label("control", ("clock", "thresholds", "catalog", "erase", "sketch")),
        shown_by=ENGAGEMENT,
    ),
    _counted(
        "evicted",
        "Entries dropped because a collection was full.",
        "Which bound is too small, or who is hostile?",
        Label("collection", COLLECTIONS),
        shown_by=INTAKE + ENGAGEMENT,
    ),
    _counted(
        "cut",
        "Texts shortened, traits dropped because they were too large, and headers not passed on.",
        "What do producers send that is not kept whole?",
        Label("what", ("text", "trait", "header")),
        shown_by=INTAKE + ENGAGEMENT,
    ),
    _counted(
        "ignored",
        "Facts without a usable value.",
        "Is an integration sending nonsense?",
        Label("what", ("nps_answer",)),
        shown_by=ENGAGEMENT,
    ),
    _counted(
        "accounts_resolved",
        "How events found their account.",
        "Do producers send the group?",
        Label("by", ("group_call", "context", "property", "user")),
        shown_by=INTAKE,
    ),
    _counted("routed", "Transitions given to a destination, once for each.", "How much is told?", shown_by=ROUTER),
    _counted("unheard", "Transitions that no play names.", "How much is told to nobody?", shown_by=ROUTER),
)

# -- flushes and state -----------------------------------------------------------------------------------------------

WORK: Final = (
    Definition(
        "flush_duration_seconds",
        Kind.HISTOGRAM,
        "Time of a flush: one Kafka transaction of one partition.",
        "Are the brokers slow, or is a flush too large?",
        unit="seconds",
        buckets=TIME_BUCKETS,
    ),
    Definition(
        "commit_duration_seconds",
        Kind.HISTOGRAM,
        "Time of a flush's commit alone: the broker's answer that its transaction is complete.",
        "Is it the transaction coordinator?",
        unit="seconds",
        buckets=TIME_BUCKETS,
    ),
    Definition(
        "flush_records",
        Kind.HISTOGRAM,
        "Outputs and changelog rows of a flush.",
        "How much goes into one transaction?",
        buckets=RECORD_BUCKETS,
    ),
    _level(
        "state_rows",
        "Rows of state held: accounts, identities.",
        "How many accounts are there, and will memory do?",
        shown_by=INTAKE + ENGAGEMENT,
    ),
    _level(
        "state_bytes",
        "Bytes of the rows of state held, as they were last stored.",
        "How large is the state, and how long will a load take?",
        shown_by=INTAKE + ENGAGEMENT,
        unit="bytes",
    ),
    _level("pending_deadlines", "Deadlines that wait for their time.", "What is to come?", shown_by=ENGAGEMENT),
    Definition(
        "restore_progress_ratio",
        Kind.GAUGE,
        "How far the load of state is, from 0 to 1; 1 when nothing loads.",
        "When is it back?",
        unit="ratio",
    ),
    Definition(
        "restore_seconds", Kind.GAUGE, "Time of the last load of state.", "How long is it away?", unit="seconds"
    ),
    Definition(
        "restored_rows", Kind.COUNTER, "Changelog rows read by loads of state.", "Is the changelog compacted at all?"
    ),
)

# -- the worker ------------------------------------------------------------------------------------------------------

WORKER: Final = (
    Definition("ready", Kind.GAUGE, "1 when every assigned partition is loaded and at work.", "Is it at work?"),
    Definition("partitions", Kind.GAUGE, "Partitions that this worker works on.", "Is every partition somebody's?"),
    Definition(
        "broker_silence_seconds",
        Kind.GAUGE,
        "For how long no broker has answered a fetch, of the partition that has waited longest; 0 where none is asked.",
        "Are the brokers there? Until a worker ends over it (runtime.silence_timeout_s) nothing else shows it.",
        unit="seconds",
    ),
    Definition("rebalances", Kind.COUNTER, "Times that partitions were revoked.", "Does the group find no rest?"),
    Definition(
        "failures",
        Kind.COUNTER,
        "Failures that end this worker; the log says more.",
        "Why did it end? It is 1 between the failure and the end of the process, which a scrape may miss.",
        (Label("reason", tuple(word.value for word in FailReason), means="why"),),
    ),
    Definition(
        "spans",
        Kind.COUNTER,
        "Spans of traced records, by what became of them.",
        "Does the collector get the traces?",
        (Label("outcome", OUTCOMES, means="exported, or why it was lost"),),
    ),
    Definition(
        "loop_delay_seconds",
        Kind.HISTOGRAM,
        "How much later than it should the event loop came back to a timer.",
        "Is the process short of CPU, or does something block it?",
        unit="seconds",
        buckets=DELAY_BUCKETS,
    ),
    Definition(
        "held_records",
        Kind.GAUGE,
        "Records fetched but kept until other partitions come up to them.",
        "Does it wait for a partition, rather than work?",
    ),
    Definition(
        "overlooked_partitions",
        Kind.COUNTER,
        "Times that a partition which brought nothing was waited for no longer.",
        "Is one partition's leader in trouble?",
    ),
)

# -- telling people --------------------------------------------------------------------------------------------------

TELLING: Final = (
    _counted(
        "deliveries",
        "Decisions and attempts, by destination.",
        "What became of what was to be told?",
        DESTINATION,
        Label("reason", tuple(word.value for word in Reason), means="why"),
        shown_by=COURIER,
    ),
    _level(
        "oldest_undelivered_seconds",
        "Age of the delivery that has waited longest; 0 if none waits.",
        "Does a destination take what it is given? It also shows one that says nothing.",
        DESTINATION,
        shown_by=COURIER,
        unit="seconds",
        over=Over.MAX,
    ),
    _level(
        "open_deliveries",
        "Deliveries that are neither done nor given up, those that are not in memory included.",
        "How much is on its way to people?",
        DESTINATION,
        shown_by=COURIER,
    ),
    _level(
        "breaker",
        "1 for the state that the destination's breaker is in.",
        "Is a destination left alone because it fails?",
        DESTINATION,
        Label("state", BREAKER_STATES),
        shown_by=COURIER,
        over=Over.MAX,
    ),
    _level(
        "held",
        "1 where an operator has paused or drained the destination.",
        "Is it us who hold it back?",
        DESTINATION,
        shown_by=COURIER,
        over=Over.MAX,
    ),
    _level(
        "parked_lanes",
        "Accounts whose next message waits for another attempt.",
        "How many accounts wait on errors?",
        DESTINATION,
        shown_by=COURIER,
    ),
    _level(
        "planned_messages",
        "Messages that wait for a group, a quiet hour, a step or a budget.",
        "What waits on purpose?",
        DESTINATION,
        shown_by=COURIER,
    ),
    _level(
        "budget_spent_messages",
        "Messages of the day's budget that are used up.",
        "Is the budget about to hold things back?",
        DESTINATION,
        shown_by=COURIER,
    ),
    _counted(
        "throttled_seconds",
        "For how long destinations asked us to wait.",
        "Does a provider slow us down?",
        DESTINATION,
        shown_by=COURIER,
        unit="seconds",
    ),
    _counted(
        "commands",
        "Commands of operators carried out.",
        "Did a pause or a retry arrive?",
        Label("command", tuple(word.value for word in CommandKind)),
        shown_by=COURIER,
    ),
)

# -- services that are no workers ------------------------------------------------------------------------------------

SERVICES: Final = (
    Definition(
        "link_requests",
        Kind.COUNTER,
        "Links asked for: what each request was, or why it was refused.",
        "Do people follow links, and does anybody forge them?",
        (Label("outcome", LINK_REQUESTS),),
        LINK,
        staged=False,
    ),
    Definition(
        "link_events",
        Kind.COUNTER,
        "Clicks, by what became of their event.",
        "Are clicks lost on their way to Kafka?",
        (Label("outcome", LINK_EVENTS),),
        LINK,
        staged=False,
    ),
    Definition(
        "canary_crossings",
        Kind.COUNTER,
        "Crossings of the canary account, by what was seen of them.",
        "Does the whole way work, from a published event to its transition?",
        (Label("outcome", CANARY_OUTCOMES),),
        CANARY,
        staged=False,
    ),
    Definition(
        "canary_latency_seconds",
        Kind.HISTOGRAM,
        "From publishing the canary's event to reading its transition.",
        "How long is the whole way, as a reader sees it?",
        (),
        CANARY,
        "seconds",
        CANARY_BUCKETS,
        staged=False,
    ),
    Definition(
        "canary_last_seen_timestamp_seconds",
        Kind.GAUGE,
        "When the canary's transition was seen last in the partition where that is longest ago, in seconds since 1970; "
        "before the first time, when the canary began.",
        "Since when does it not work?",
        (),
        CANARY,
        "seconds",
        staged=False,
    ),
    Definition(
        "canary_partition_seen_timestamp_seconds",
        Kind.GAUGE,
        "The same for each partition of the log; the canary has an account in each.",
        "Which partition stands still?",
        (Label("partition", whence=Whence.FOUND, words_max=PARTITIONS_SHOWN_MAX, means="the log's partitions"),),
        CANARY,
        "seconds",
        over=Over.MAX,
        staged=False,
    ),
    Definition(
        "canary_up",
        Kind.GAUGE,
        "1 while the canary publishes and reads.",
        "Is the canary itself at work?",
        (),
        CANARY,
        staged=False,
    ),
)

DEFINITIONS: Final[tuple[Definition, ...]] = FRESH + RECORDS + WORK + WORKER + TELLING + SERVICES


def shown_by(service: str) -> tuple[Definition, ...]:
    """What a stage or service shows. One that is none of these, as tests run them, shows what any worker does."""
    known = {one for definition in DEFINITIONS for one in definition.shown_by}
    if service not in known:
        return tuple(one for one in DEFINITIONS if set(one.shown_by) & set(STAGES))
    return tuple(one for one in DEFINITIONS if service in one.shown_by)


def series_max(service: str) -> int:
    """How many series of ours one process shows at most; Python's process_* are some ten more."""
    return sum(one.series_max for one in shown_by(service))
