"""What must be true on the cluster before a worker joins its group."""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Final

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from streams.errors import ExpectedError, KafkaUnreachableError
from streams.runtime.options import RuntimeOptions
from streams.runtime.stage import StageSpec

log = logging.getLogger(__name__)

PATIENCE_S: Final = 60.0
"""Broker, topics and workers are often started together; so long a worker waits for the others."""
RETRY_S: Final = 1.0


class TopicsNotReadyError(ExpectedError):
    """Topics are missing, or do not fit each other."""


def topic_problems(spec: StageSpec, partitions: Mapping[str, int]) -> list[str]:
    """What is wrong with the topics, given how many partitions each has; empty if nothing."""
    problems = [
        f"topic {topic} does not exist"
        for topic in dict.fromkeys((spec.input_topic, spec.changelog_topic, *spec.output_topics))
        if topic not in partitions
    ]
    ours, its = partitions.get(spec.input_topic), partitions.get(spec.changelog_topic)
    if ours is not None and its is not None and ours != its:
        problems.append(
            f"{spec.changelog_topic} has {its} partitions, {spec.input_topic} has {ours}: state and input must be equal"
        )
    return problems


async def check_topics(spec: StageSpec, options: RuntimeOptions, patience_s: float = PATIENCE_S) -> None:
    """Wait until brokers and topics are there; raise what is wrong once patience has run out."""
    give_up_at = time.monotonic() + patience_s
    told: list[str] = []
    while True:
        try:
            problems = topic_problems(spec, await _partitions(options))
            error: ExpectedError = TopicsNotReadyError(f"{'; '.join(problems)}; create them with: pegel topics apply")
        except (KafkaError, OSError) as cause:
            problems = [f"Kafka does not answer at {options.kafka.bootstrap}: {type(cause).__name__}"]
            error = KafkaUnreachableError(f"{problems[0]}; start it or name another address (--bootstrap HOST:PORT)")
        if not problems:
            return
        if time.monotonic() > give_up_at:
            raise error
        if problems != told:
            log.info("waiting: %s", "; ".join(problems))
            told = problems
        await asyncio.sleep(RETRY_S)


async def _partitions(options: RuntimeOptions) -> dict[str, int]:
    consumer = AIOKafkaConsumer(**options.kafka.arguments(), client_id=f"{options.group}-preflight")
    try:
        await consumer.start()
        topics = await consumer.topics()
        return {topic: len(consumer.partitions_for_topic(topic) or ()) for topic in topics}
    finally:
        await consumer.stop()
