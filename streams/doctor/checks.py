"""The checks: each a function from the facts to a finding, with a level, the reason and what to do. Pure.

    level   what it means
    ok      as it must be
    warn    works, but not as safely or as well as it could, or not at work right now
    fail    something is broken, or will be at the next restart

A check says the first few places; `pegel topics show` and the groups' own tools have them all.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from streams.doctor.facts import Compared, Facts, Member, Standstill, StateFacts, Verdict
from streams.engine.codec import VERSION
from streams.limits import RETENTION_DAYS
from streams.runtime.client_names import version_of_reader
from streams.topic_admin import Difference, DifferenceKind, differences

PLACES_SHOWN_MAX: Final = 4
LAG_WARNED_RECORDS: Final = 10_000
TRANSACTION_VERSION_PROVEN: Final = 2
BROKERS_FOR_COPIES: Final = 2
BROKERS_FOR_MIN_ISR: Final = 3
APPLY: Final = "pegel topics apply"
REBUILD: Final = "stop the engagement workers and run: pegel rebuild"


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check came to. `fix` is empty where nothing is to be done."""

    level: Level
    reason: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """A finding under the name of its check."""

    name: str
    finding: Finding


Check = Callable[[Facts], Finding]


def ok(reason: str) -> Finding:
    return Finding(Level.OK, reason)


def warn(reason: str, fix: str) -> Finding:
    return Finding(Level.WARN, reason, fix)


def fail(reason: str, fix: str) -> Finding:
    return Finding(Level.FAIL, reason, fix)


# The cluster


def brokers(facts: Facts) -> Finding:
    if facts.controller is None:
        return fail(f"{_counted(facts.brokers, 'broker')} and no controller", "see the brokers' logs")
    return ok(f"{_counted(facts.brokers, 'broker')}, controller {facts.controller}; pegel {facts.version}")


def features(facts: Facts) -> Finding:
    found = facts.features
    if not found:
        return ok("the brokers name no features: an older cluster, or one with ZooKeeper")
    listed = ", ".join(f"{name}={level}" for name, level in sorted(found.items()))
    level = found.get("transaction.version")
    if level is not None and level < TRANSACTION_VERSION_PROVEN:
        return warn(
            f"transaction.version is {level}: transactions without the defence against hanging ones ({listed})",
            f"kafka-features.sh upgrade --feature transaction.version={TRANSACTION_VERSION_PROVEN}",
        )
    return ok(listed)


def topics_exist(facts: Facts) -> Finding:
    missing = [spec.name for spec in facts.specs if spec.name not in facts.topics]
    if missing:
        return fail(f"{_counted(len(missing), 'topic')} missing: {_some(missing)}", APPLY)
    return ok(f"all {len(facts.specs)} topics")


def state_partitions(facts: Facts) -> Finding:
    """Inputs and their changelogs."""
    wrong = [
        f"{one.changelog} has {its}, {one.input} has {ours}"
        for one in facts.stages
        if (its := facts.topics[one.changelog].partitions) != (ours := facts.topics[one.input].partitions)
    ]
    if wrong:
        return fail(
            f"state and input are cut differently: {_some(wrong)}", "see docs/operations.md, Change the partitions"
        )
    return ok("every changelog is cut as its input")


def partition_counts(facts: Facts) -> Finding:
    wanted = facts.settings.kafka.partitions
    wrong = {
        one.topic: f"{one.topic} has {one.found}"
        for one in _differences(facts, lambda one: one.kind is DifferenceKind.PARTITIONS)
    }
    if not wrong:
        return ok(f"{wanted} each, as the settings say")
    inputs = {one.input for one in facts.stages if one.stage == "engagement"}
    if inputs & wrong.keys():
        return fail(
            f"kafka.partitions is {wanted}, but {_some(list(wrong.values()))}: percentiles over all accounts would "
            "count some partitions twice or never",
            "set kafka.partitions to what the log has",
        )
    return warn(
        f"kafka.partitions is {wanted}, but {_some(list(wrong.values()))}; workers notice a changed number of an "
        "output's partitions only when they start",
        "set kafka.partitions, or run pegel topics apply --grow; then restart the workers",
    )


def guarantee(facts: Facts) -> Finding:
    if _has_transactions(facts):
        return ok("exactly_once: outputs, state and offset of a flush are one transaction")
    return warn(
        "at_least_once: after a crash outputs may come twice, with the same ids",
        "readers drop what they know by transition_id; with brokers that have transactions: exactly_once",
    )


# Topic configuration


def cleanup(facts: Facts) -> Finding:
    wrong = _configs(facts, "cleanup.policy")
    if wrong:
        return fail(f"{_told(wrong)}: compacted topics would lose state or grow for ever, others would lose history",
                    APPLY)  # fmt: skip
    return ok("changelogs, memberships and catalogs are compacted, the rest is not")


def timestamps(facts: Facts) -> Finding:
    wrong = _configs(
        facts,
        "message.timestamp.type",
        "message.timestamp.before.max.ms",
        "message.timestamp.after.max.ms",
    )
    if wrong:
        return fail(f"{_told(wrong)}: the arrival of events would be lost or history refused", APPLY)
    return ok("records keep the time they were given")


def retention(facts: Facts) -> Finding:
    wrong = _configs(facts, "retention.ms", "retention.bytes")
    if wrong:
        return warn(f"{_told(wrong)}, against the settings", APPLY)
    days = facts.settings.topics.event_retention_days
    if days is not None and days <= RETENTION_DAYS:
        return warn(
            f"events are kept for {days:g} days, windows reach back {RETENTION_DAYS}: state cannot be rebuilt whole",
            f"keep them longer: topics.event_retention_days > {RETENTION_DAYS}",
        )
    return ok("as the settings say")


def record_sizes(facts: Facts) -> Finding:
    wrong = _configs(facts, "max.message.bytes")
    if wrong:
        return fail(f"{_told(wrong)}: a record that is too large ends its worker", APPLY)
    return ok("every topic takes the largest record that may come")


def other_configs(facts: Facts) -> Finding:
    wrong = [
        one
        for one in _differences(facts, lambda one: one.kind is DifferenceKind.CONFIG)
        if one.setting not in _NAMED_CONFIGS
    ]
    if wrong:
        return warn(_told(wrong), APPLY)
    return ok("as defined")


_NAMED_CONFIGS: Final = frozenset({
    "cleanup.policy", "message.timestamp.type", "message.timestamp.before.max.ms", "message.timestamp.after.max.ms",
    "retention.ms", "retention.bytes", "max.message.bytes",
})  # fmt: skip


# Copies


def copies(facts: Facts) -> Finding:
    """Replication factor and min.insync.replicas, of the topics as they are."""
    stuck, fragile, single, thin = [], [], [], []
    for name, topic in facts.topics.items():
        needed = int(topic.configs.get("min.insync.replicas", "1"))
        if needed > topic.replication_factor:
            stuck.append(f"{name} has {topic.replication_factor}, needs {needed} in sync")
        elif needed == topic.replication_factor > 1:
            fragile.append(name)
        elif topic.replication_factor == 1 and facts.brokers >= BROKERS_FOR_COPIES:
            single.append(name)
        elif needed == 1 and facts.brokers >= BROKERS_FOR_MIN_ISR:
            thin.append(name)
    if stuck:
        return fail(f"no write can succeed: {_some(stuck)}", "lower kafka.min_insync_replicas or add copies")
    if single:
        return warn(
            f"one copy each, though there are {facts.brokers} brokers: {_some(single)}; a lost disk is lost data",
            "kafka.replication_factor 3 before the topics are made, or kafka-reassign-partitions",
        )
    if thin:
        return warn(
            f"min.insync.replicas is 1: {_some(thin)}; a record counts as written with one copy",
            f"kafka.min_insync_replicas 2, then {APPLY}",
        )
    if fragile:
        return warn(
            f"every copy must be in sync: {_some(fragile)}; one broker down stops all writes",
            "one copy more than kafka.min_insync_replicas",
        )
    if facts.brokers < BROKERS_FOR_COPIES:
        return ok("one copy on the one broker: for development")
    return ok("a broker may fail without losing a record or stopping a write")


def partitions_healthy(facts: Facts) -> Finding:
    offline = [one.name for one in facts.placements if one.leader is None]
    if offline:
        return fail(f"without a leader: {_some(offline)}", "bring the brokers that hold them back")
    behind = [f"{one.name} ({one.in_sync} of {one.replicas})" for one in facts.placements if one.in_sync < one.replicas]
    if behind:
        return warn(f"copies are not in sync: {_some(behind)}", "see the brokers' logs; wait for a broker that returns")
    return ok(f"{len(facts.placements)} partitions, all copies in sync")


def open_transactions(facts: Facts) -> Finding:
    found = [
        f"{one.topic} {one.partition} at {one.since_offset} for {one.watched_s:g} s" for one in facts.open_transactions
    ]
    if found:
        return fail(
            f"a transaction is open and does not move, readers wait for it: {_some(found)}",
            "start the worker of that partition, which ends it; or wait 30 s for its time-out; if it stays: "
            "kafka-transactions.sh find-hanging",
        )
    return ok("none stands open")


# Groups


def workers(facts: Facts) -> Finding:
    idle = [one.stage for one in facts.stages if not facts.groups[one.stage].members]
    unsettled = [
        f"{one.stage} is {facts.groups[one.stage].state}"
        for one in facts.stages
        if facts.groups[one.stage].members and facts.groups[one.stage].state != "STABLE"
    ]
    spare = [
        f"{one.stage} has {len(members)} for {facts.topics[one.input].partitions} partitions"
        for one in facts.stages
        if len(members := facts.groups[one.stage].members) > facts.topics[one.input].partitions
    ]
    if idle:
        return warn(f"nobody at work: {', '.join(idle)}", f"pegel worker {idle[0]}")
    if unsettled:
        return warn(f"{', '.join(unsettled)}", "run the examination again in a minute; if it stays, see the workers")
    if spare:
        return warn(f"workers without a partition: {', '.join(spare)}", "fewer workers, or more partitions")
    return ok(", ".join(f"{one.stage} {_named(facts.groups[one.stage].members)}" for one in facts.stages))


def _named(members: Sequence[Member]) -> str:
    """How many, who, and how many partitions each was given."""
    shown = [f"{one.instance_id or 'unnamed'}: {len(one.partitions)}" for one in members]
    return f"{len(members)} ({_some(sorted(shown))})"


def versions(facts: Facts) -> Finding:
    """Workers say their version in their names."""
    found = {
        one.stage: Counter(version_of_reader(member.client) or "unnamed" for member in facts.groups[one.stage].members)
        for one in facts.stages
    }
    running = sorted({version for counted in found.values() for version in counted})
    if not running:
        return ok(f"nobody at work; this is {facts.version}")
    if running == [facts.version]:
        return ok(f"all workers are of {facts.version}, as this program")
    listed = ", ".join(
        f"{stage} {' and '.join(f'{version} ({count})' for version, count in sorted(counted.items()))}"
        for stage, counted in found.items()
        if counted
    )
    return warn(
        f"workers and this program, {facts.version}, are not all of one version: {listed}",
        "bring the upgrade to its end: courier, router, engagement, intake (docs/operations.md, Upgrade)",
    )


def static_members(facts: Facts) -> Finding:
    nameless = [
        f"{one.stage} ({count})"
        for one in facts.stages
        if (count := sum(1 for member in facts.groups[one.stage].members if member.instance_id is None))
    ]
    if nameless:
        return warn(
            f"workers without a fixed name: {', '.join(nameless)}; every restart moves their partitions",
            "pegel worker --instance-id NAME, one name per worker",
        )
    return ok("every worker has a fixed name")


def lag(facts: Facts) -> Finding:
    behind: list[str] = []
    total = 0
    for one in facts.stages:
        for partition, ends in sorted(facts.ends[one.input].items()):
            at = max(facts.groups[one.stage].committed_after.get(partition, 0), ends.begin)
            total += (rest := max(0, ends.stable - at))
            if rest > LAG_WARNED_RECORDS:
                behind.append(f"{one.stage} partition {partition} by {rest}")
    if behind:
        return warn(f"behind: {_some(behind)}", "start or add workers, up to one a partition; see /metrics")
    return ok(f"{total} offsets behind in all, transaction markers included")


def progress(facts: Facts) -> Finding:
    """A worker that ends again and again is a member of its group all the time: its name outlives it there."""
    found = facts.standstills
    held = [one for one in found if one.stage == "intake" and one.others_move and facts.settings.intake.alignment_ms]
    stuck = [one for one in found if one not in held]
    if stuck:
        return fail(
            f"nothing was read for {stuck[0].watched_s:g} s, though there is something to read: "
            f"{_some([_standing(one) for one in stuck])}",
            "see that worker's log: `worker_stops` says why it ends (docs/runbooks/worker-restarting.md); while "
            "workers start or partitions move, examine again in a minute",
        )
    if held:
        return warn(
            f"intake does not read on while other partitions do: {_some([_standing(one) for one in held])}",
            "let it, while it catches up (pegel_held_records); if it stays when the others are done, see that worker's "
            "log",
        )
    return ok("whatever has something to read is being read")


def _standing(one: Standstill) -> str:
    owner = f"worker {one.owner}" if one.owner else "no worker"
    return f"{one.stage} partition {one.partition} ({owner}) at {one.offset}, {one.behind} behind"


def positions(facts: Facts) -> Finding:
    """The group's offset and the state must say the same; without transactions the offset comes last."""
    ahead, lost = [], []
    for one in facts.stages:
        group, found = facts.groups[one.stage], facts.positions[one.stage]
        for partition, position in sorted(found.items()):
            before, after = group.committed_before.get(partition), group.committed_after.get(partition)
            reached = position or 0
            if (before or 0) > reached:
                ahead.append(f"{one.stage} {partition}: offset {before}, state {reached}")
            elif (after or 0) < reached and _has_transactions(facts):
                lost.append(f"{one.stage} {partition}: offset {after}, state {reached}")
    if ahead:
        return fail(
            f"the offset was moved beyond the state, records between would be skipped: {_some(ahead)}",
            "stop the workers and put the offset back: kafka-consumer-groups.sh --reset-offsets --to-offset STATE",
        )
    if lost:
        return fail(
            f"the offset is behind the state: {_some(lost)}; workers go on where the state ends, but nobody should "
            "have moved it",
            "stop the workers and put the offset back, or restart them: the next flush does",
        )
    return ok("the offset of every partition is where its state ends")


# State


def state_readable(facts: Facts) -> Finding:
    state = facts.state
    if state is None:
        return _unseen()
    unreadable = sum(one.unreadable for one in state.partitions)
    if unreadable:
        return fail(
            f"{_counted(unreadable, 'row')} of another version or damaged: no worker of {facts.version} can load them",
            f"run the version that wrote them (docs/operations.md, Upgrade), or {REBUILD}",
        )
    stray = [f"{one.stray} in partition {one.partition}" for one in state.partitions if one.stray]
    if stray and _has_transactions(facts):
        return fail(
            f"rows that no flush ended with, so somebody else wrote them: {_some(stray)}; no worker can load them",
            REBUILD,
        )
    return _one_version(facts, state)


def _one_version(facts: Facts, state: StateFacts) -> Finding:
    """Whether all accounts are stored as the settings say: the end of an upgrade, and of the way back."""
    outdated = sum((Counter(one.outdated) for one in state.partitions), Counter[int]())
    if outdated:
        listed = ", ".join(f"{count} in version {version}" for version, count in sorted(outdated.items()))
        return warn(
            f"accounts are to be stored in version {state.version}, but are yet: {listed}",
            "let the engagement workers run: they store them anew; if the number stays, they are of another version of "
            "pegel, or their engagement.state_version is another",
        )
    rows = f"{sum(one.accounts for one in state.partitions)} rows of accounts, all in version {state.version}"
    if facts.settings.engagement.state_version is not None:
        return ok(f"{rows}, as engagement.state_version says; without it: {VERSION}")
    return ok(rows)


def catalogs_agree(facts: Facts) -> Finding:
    state = facts.state
    if state is None:
        return _unseen()
    found = {one.catalog for one in state.partitions if one.catalog}
    if len(found) > 1:
        places = [f"{one.partition}: {' '.join(one.catalog)}" for one in state.partitions if one.catalog]
        return warn(
            f"partitions apply different catalogs: {_some(places)}",
            "wait until all have read the change (pegel catalog history); if it stays: pegel catalog apply",
        )
    if not found:
        return ok("no catalog is in force yet")
    ((name, version),) = found
    if facts.configured_catalog not in (None, version):
        return warn(
            f"{name} {version} is in force, the settings name {facts.settings.engagement.catalog} "
            f"({facts.configured_catalog}): a log keeps its catalog",
            f"pegel catalog apply {facts.settings.engagement.catalog}, if that is meant",
        )
    return ok(f"{name} {version} in all partitions")


def accounts_at_home(facts: Facts) -> Finding:
    if facts.state is None:
        return _unseen()
    strays = [
        f"{one.account_id} in {one.partition}, not {one.home}"
        for one in facts.state.compared
        if one.partition != one.home
    ]
    if strays:
        return fail(
            f"accounts outside of their key's partition: {_some(strays)}; partitions were added to the log, or a "
            "producer uses another partitioner than murmur2",
            "see docs/operations.md, Change the partitions",
        )
    return ok("every account looked at is where its key belongs")


def state_matches_log(facts: Facts) -> Finding:
    state = facts.state
    if state is None:
        return _unseen()
    wrong = [_difference(one) for one in state.compared if one.verdict not in (Verdict.EQUAL, Verdict.NOT_COMPARED)]
    if wrong:
        return fail(f"{len(wrong)} of {_counted(len(state.compared), 'account')} differ: {_some(wrong)}", REBUILD)
    cut = [str(one.partition) for one in state.partitions if one.log_begin > 0]
    if cut:
        return warn(
            f"the log has lost its beginning in partition {', '.join(cut)}: state there cannot be held against it",
            "keep events for ever (topics.event_retention_days), or accept it",
        )
    return ok(f"{_counted(len(state.compared), 'account')} recomputed from {state.records_read} offsets, all equal")


def memberships_match_state(facts: Facts) -> Finding:
    state = facts.state
    if state is None:
        return _unseen()
    wrong = [f"{one.account_id}: {one.membership}" for one in state.compared if one.membership]
    if wrong:
        return fail(f"membership records differ from the state: {_some(wrong)}", REBUILD)
    return ok(f"{_counted(len(state.compared), 'account')} as the state has them")


CHECKS: Final[Mapping[str, Check]] = {
    "brokers": brokers,
    "features": features,
    "guarantee": guarantee,
    "topics": topics_exist,
    "state-partitions": state_partitions,
    "partition-counts": partition_counts,
    "cleanup": cleanup,
    "timestamps": timestamps,
    "retention": retention,
    "record-sizes": record_sizes,
    "other-configs": other_configs,
    "copies": copies,
    "partitions": partitions_healthy,
    "open-transactions": open_transactions,
    "workers": workers,
    "versions": versions,
    "static-members": static_members,
    "lag": lag,
    "progress": progress,
    "positions": positions,
    "state-versions": state_readable,
    "catalogs": catalogs_agree,
    "accounts-at-home": accounts_at_home,
    "state-against-log": state_matches_log,
    "memberships": memberships_match_state,
}


def examined(facts: Facts) -> tuple[Checked, ...]:
    """Every check, in the order in which things build on each other."""
    return tuple(Checked(name, check(facts)) for name, check in CHECKS.items())


def _has_transactions(facts: Facts) -> bool:
    return facts.settings.runtime.guarantee == "exactly_once"


# Words


def _unseen() -> Finding:
    return warn("not looked at, since topics are missing or without a leader", APPLY)


def _difference(one: Compared) -> str:
    return f"{one.account_id} {one.verdict}" + (f" in {', '.join(one.fields)}" if one.fields else "")


def _differences(facts: Facts, wanted: Callable[[Difference], bool]) -> list[Difference]:
    return [
        one
        for spec in facts.specs
        if spec.name in facts.topics
        for one in differences(spec, facts.topics[spec.name])
        if wanted(one)
    ]


def _configs(facts: Facts, *settings: str) -> list[Difference]:
    return _differences(facts, lambda one: one.kind is DifferenceKind.CONFIG and one.setting in settings)


def _told(found: Sequence[Difference]) -> str:
    return _some([f"{one.topic} has {one.setting} {one.found}, not {one.wanted}" for one in found])


def _some(places: Sequence[str]) -> str:
    more = len(places) - PLACES_SHOWN_MAX
    return ", ".join(places[:PLACES_SHOWN_MAX]) + (f" and {more} more" if more > 0 else "")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def levels(checked: Iterable[Checked]) -> dict[Level, int]:
    """How many checks came to each level."""
    found = dict.fromkeys(Level, 0)
    for one in checked:
        found[one.finding.level] += 1
    return found
