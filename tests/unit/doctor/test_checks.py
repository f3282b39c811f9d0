"""A sound deployment passes every check; whatever is spoilt is found by the check that names it, and by no other."""

from dataclasses import replace

import pytest

from streams.doctor.checks import CHECKS, LAG_WARNED_RECORDS, Level, examined
from streams.doctor.facts import Ends, Facts, Member, OpenTransaction, Placement, Standstill, Verdict
from tests.unit.doctor.facts import (
    SETTINGS,
    TOPICS,
    WORKER,
    sound,
    with_compared,
    with_config,
    with_group,
    with_kafka,
    with_partitions,
    with_state,
    with_state_partition,
)

SOUND = sound()


def found(facts: Facts) -> dict[str, Level]:
    return {one.name: one.finding.level for one in examined(facts) if one.finding.level is not Level.OK}


def test_a_sound_deployment_passes_every_check() -> None:
    assert found(SOUND) == {}
    assert [one.name for one in examined(SOUND)] == list(CHECKS)


def test_workers_are_listed_by_name_with_how_many_partitions_each_was_given() -> None:
    (workers,) = (one for one in examined(with_group(SOUND, "router", members=TWO)) if one.name == "workers")
    assert workers.finding.reason.endswith("engagement 1 (one: 2), router 2 (a: 2, unnamed: 0), courier 1 (one: 2)")


BOTH = frozenset((0, 1))
TWO = (Member(WORKER, None, frozenset()), Member(WORKER, "a", BOTH))
STILL = Standstill("engagement", 1, 90, 40, "one", others_move=False, watched_s=5.0)
NAMELESS = (Member(WORKER, None, BOTH),)
CROWD = tuple(Member(WORKER, f"n{number}", frozenset((number,))) for number in range(3))
MIXED = (Member(WORKER, "one", frozenset((0,))), Member("pegel.engagement-reader-1.2.2", "two", frozenset((1,))))
UNNAMED = (Member("pegel.engagement-reader", "one", BOTH),)
LATE = {number: Ends(0, 90 + LAG_WARNED_RECORDS + 1, 90 + LAG_WARNED_RECORDS + 1) for number in range(2)}

SPOILT: dict[str, tuple[Facts, str, Level, str]] = {
    "no controller": (replace(SOUND, controller=None), "brokers", Level.FAIL, "no controller"),
    "old transactions": (
        replace(SOUND, features={"transaction.version": 1}), "features", Level.WARN, "transaction.version is 1",
    ),
    "a changelog that is deleted by time": (
        with_config(SOUND, TOPICS.accounts_changelog, "cleanup.policy", "delete"),
        "cleanup", Level.FAIL, TOPICS.accounts_changelog,
    ),
    "the broker's time": (
        with_config(SOUND, TOPICS.account_events, "message.timestamp.type", "LogAppendTime"),
        "timestamps", Level.FAIL, "LogAppendTime",
    ),
    "history refused": (
        with_config(SOUND, TOPICS.product_events, "message.timestamp.before.max.ms", "1000"),
        "timestamps", Level.FAIL, "before.max",
    ),
    "another retention": (
        with_config(SOUND, TOPICS.account_events, "retention.ms", "604800000"),
        "retention", Level.WARN, "604800000",
    ),
    "small records": (
        with_config(SOUND, TOPICS.accounts_changelog, "max.message.bytes", "1048576"),
        "record-sizes", Level.FAIL, "1048576",
    ),
    "another compression": (
        with_config(SOUND, TOPICS.transitions, "compression.type", "gzip"), "other-configs", Level.WARN, "gzip",
    ),
    "no leader": (
        replace(SOUND, placements=(*SOUND.placements, Placement("x", 0, None, 3, 0))),
        "partitions", Level.FAIL, "x 0",
    ),
    "copies behind": (
        replace(SOUND, placements=(*SOUND.placements, Placement("x", 1, 2, 3, 2))),
        "partitions", Level.WARN, "x 1 (2 of 3)",
    ),
    "a hanging transaction": (
        replace(SOUND, open_transactions=(OpenTransaction("x", 1, 77, 3.0),)),
        "open-transactions", Level.FAIL, "x 1 at 77",
    ),
    "nobody at work": (with_group(SOUND, "engagement", members=()), "workers", Level.WARN, "engagement"),
    "a rebalance that does not end": (
        with_group(SOUND, "intake", state="PREPARING_REBALANCE"), "workers", Level.WARN, "PREPARING_REBALANCE",
    ),
    "more workers than partitions": (
        with_group(SOUND, "intake", members=CROWD), "workers", Level.WARN, "3 for 2 partitions",
    ),
    "workers of two versions": (
        with_group(SOUND, "engagement", members=MIXED), "versions", Level.WARN, "engagement 1.2.2 (1) and 1.2.3 (1)",
    ),
    "workers of a version that does not say so": (
        with_group(SOUND, "engagement", members=UNNAMED), "versions", Level.WARN, "engagement unnamed (1)",
    ),
    "workers of another version than the doctor": (
        replace(SOUND, version="1.3.0"), "versions", Level.WARN, "1.3.0, are not all of one version",
    ),
    "workers without a name": (
        with_group(SOUND, "courier", members=NAMELESS), "static-members", Level.WARN, "courier (1)",
    ),
    "far behind": (
        replace(SOUND, ends={**SOUND.ends, TOPICS.account_events: LATE}), "lag", Level.WARN, "engagement partition 0",
    ),
    "a worker that ends again and again": (
        replace(SOUND, standstills=(STILL,)),
        "progress", Level.FAIL, "engagement partition 1 (worker one) at 90, 40 behind",
    ),
    "a partition that was given to nobody": (
        replace(SOUND, standstills=(replace(STILL, owner=None),)), "progress", Level.FAIL, "no worker",
    ),
    "a partition of intake that waits for no other": (
        replace(SOUND, standstills=(replace(STILL, stage="intake"),)), "progress", Level.FAIL, "intake partition 1",
    ),
    "a partition of intake that may wait for another": (
        replace(SOUND, standstills=(replace(STILL, stage="intake", others_move=True),)),
        "progress", Level.WARN, "intake partition 1",
    ),
    "an offset beyond the state": (
        with_group(SOUND, "engagement", committed_before={0: 91, 1: 90}, committed_after={0: 91, 1: 90}),
        "positions", Level.FAIL, "engagement 0: offset 91, state 90",
    ),
    "an offset behind the state": (
        with_group(SOUND, "courier", committed_before={0: 90, 1: 10}, committed_after={0: 90, 1: 10}),
        "positions", Level.FAIL, "courier 1: offset 10, state 90",
    ),
    "an offset that expired": (
        with_group(SOUND, "intake", committed_before={1: 90}, committed_after={1: 90}),
        "positions", Level.FAIL, "intake 0: offset None, state 90",
    ),
    "rows of another version": (
        with_state_partition(SOUND, 1, unreadable=3), "state-versions", Level.FAIL, "3 rows",
    ),
    "accounts in an older version": (
        with_state_partition(SOUND, 1, outdated={1: 5}), "state-versions", Level.WARN, "but are yet: 5 in version 1",
    ),
    "rows of a stranger": (with_state_partition(SOUND, 1, stray=2), "state-versions", Level.FAIL, "2 in partition 1"),
    "two catalogs in force": (
        with_state_partition(SOUND, 1, catalog=("ours", "v2")), "catalogs", Level.WARN, "1: ours v2",
    ),
    "another catalog in the settings": (
        replace(SOUND, configured_catalog="v9"), "catalogs", Level.WARN, "v9",
    ),
    "an account away from home": (
        with_compared(SOUND, home=1), "accounts-at-home", Level.FAIL, "acme in 0, not 1",
    ),
    "state that the log does not say": (
        with_compared(SOUND, verdict=Verdict.DIFFERS, fields=("total", "now")),
        "state-against-log", Level.FAIL, "acme differs in total, now",
    ),
    "a log without its beginning": (
        with_state_partition(SOUND, 1, log_begin=5), "state-against-log", Level.WARN, "partition 1",
    ),
    "another membership": (
        with_compared(SOUND, membership="there is none"), "memberships", Level.FAIL, "acme: there is none",
    ),
}  # fmt: skip


def test_state_that_is_kept_in_an_older_version_on_purpose_is_well() -> None:
    engagement = SETTINGS.engagement.model_copy(update={"state_version": 1})
    facts = replace(SOUND, settings=SETTINGS.model_copy(update={"engagement": engagement}))
    finding = CHECKS["state-versions"](with_state(facts, version=1))
    assert finding.level is Level.OK
    assert "all in version 1, as engagement.state_version says" in finding.reason


def test_where_nobody_is_at_work_versions_are_no_matter() -> None:
    facts = SOUND
    for stage in facts.stages:
        facts = with_group(facts, stage.stage, members=())
    assert CHECKS["versions"](facts).level is Level.OK


@pytest.mark.parametrize("what", SPOILT)
def test_what_is_spoilt_is_found_by_its_check_and_by_no_other(what: str) -> None:
    facts, name, level, words = SPOILT[what]
    assert found(facts) == {name: level}
    finding = CHECKS[name](facts).reason
    assert words in finding
    assert CHECKS[name](facts).fix


def test_a_missing_topic_is_found_and_so_is_that_the_state_was_not_looked_at() -> None:
    topics = {name: state for name, state in SOUND.topics.items() if name != TOPICS.actions}
    facts = replace(SOUND, topics=topics, state=None)
    assert found(facts)["topics"] is Level.FAIL
    assert found(facts)["state-against-log"] is Level.WARN


def test_an_offset_that_a_running_worker_moves_while_it_is_looked_at_is_no_finding() -> None:
    running = with_group(SOUND, "engagement", committed_before={0: 80, 1: 90}, committed_after={0: 100, 1: 90})
    assert found(running) == {}


def test_without_transactions_the_offset_may_come_after_the_state_and_the_guarantee_is_said() -> None:
    runtime = SOUND.settings.runtime.model_copy(update={"guarantee": "at_least_once"})
    weaker = replace(SOUND, settings=SOUND.settings.model_copy(update={"runtime": runtime}))
    assert found(weaker) == {"guarantee": Level.WARN}
    assert found(with_group(weaker, "intake", committed_before={}, committed_after={})) == {"guarantee": Level.WARN}


def test_partitions_of_an_output_that_the_settings_do_not_know_of_are_a_warning_and_of_the_log_a_failure() -> None:
    grown = with_partitions(SOUND, TOPICS.membership, 4)
    assert found(grown) == {"partition-counts": Level.WARN}
    assert "only when they start" in CHECKS["partition-counts"](grown).reason
    assert found(with_kafka(SOUND, partitions=4))["partition-counts"] is Level.FAIL


def test_state_that_is_cut_otherwise_than_its_input_is_a_failure() -> None:
    assert found(with_partitions(SOUND, TOPICS.identity_changelog, 3))["state-partitions"] is Level.FAIL


def test_copies_are_judged_by_what_the_cluster_could_hold() -> None:
    def laid_out(brokers: int, factor: int, needed: int) -> Level:
        topics = {
            name: replace(
                state, replication_factor=factor, configs={**state.configs, "min.insync.replicas": str(needed)}
            )
            for name, state in SOUND.topics.items()
        }
        return CHECKS["copies"](replace(SOUND, brokers=brokers, topics=topics)).level

    assert laid_out(brokers=1, factor=1, needed=1) is Level.OK
    assert laid_out(brokers=3, factor=1, needed=1) is Level.WARN
    assert laid_out(brokers=3, factor=3, needed=1) is Level.WARN
    assert laid_out(brokers=3, factor=3, needed=2) is Level.OK
    assert laid_out(brokers=3, factor=3, needed=3) is Level.WARN
    assert laid_out(brokers=3, factor=2, needed=3) is Level.FAIL
