"""The whole examination: fetch the facts, look at the state if it can be read, judge."""

from dataclasses import replace

from streams.doctor.checks import Checked, examined
from streams.doctor.facts import Facts
from streams.doctor.gather import gather
from streams.doctor.sample import Sample
from streams.doctor.state import OnTotal, examine_state
from streams.engagement.agent import state_version_of
from streams.rebuild.configured import configured_program
from streams.rebuild.log import LogReader, OnRead
from streams.settings import Settings
from streams.topics import Topics


def examine(settings: Settings, sample: Sample, on_total: OnTotal, on_read: OnRead) -> tuple[Checked, ...]:
    """Examine a deployment; raises `KafkaUnreachableError`."""
    facts = gather(settings)
    return examined(_with_state(settings, facts, sample, on_total, on_read))


def _with_state(settings: Settings, facts: Facts, sample: Sample, on_total: OnTotal, on_read: OnRead) -> Facts:
    topics = Topics(settings.kafka.topic_prefix)
    needed = {topics.account_events, topics.accounts_changelog, topics.membership}
    leaderless = {one.topic for one in facts.placements if one.leader is None}
    if not needed <= facts.topics.keys() - leaderless:
        return facts
    partitions = facts.topics[topics.account_events].partitions
    if partitions != facts.topics[topics.accounts_changelog].partitions:
        return facts
    with LogReader(settings.kafka, on_read) as reader:
        program, version = configured_program(settings), state_version_of(settings)
        state = examine_state(reader, topics, partitions, sample, program, on_total, version)
    return replace(facts, state=state)
