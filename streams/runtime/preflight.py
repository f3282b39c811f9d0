"""What must be true on the cluster before a worker joins its group."""

import asyncio
import time
from collections.abc import Mapping
from typing import Final

from streams import log_events
from streams.errors import ExpectedError, KafkaRefusedError, KafkaUnreachableError
from streams.runtime.options import Guarantee, RuntimeOptions
from streams.runtime.stage import StageSpec
from streams.security.admission import Sight, look
from streams.security.permissions import of_worker

RETRY_S: Final = 1.0
REFUSAL_ASKED_S: Final = 5.0


class TopicsNotReadyError(ExpectedError):
    """Topics are missing, or do not fit each other."""


def topic_problems(spec: StageSpec, partitions: Mapping[str, int]) -> list[str]:
    """What is wrong with the topics, given how many partitions each has; empty if nothing."""
    problems = [
        f"topic {topic} does not exist"
        for topic in dict.fromkeys((spec.input_topic, spec.changelog_topic, *spec.output_topics, *spec.read_topics))
        if topic not in partitions
    ]
    ours, its = partitions.get(spec.input_topic), partitions.get(spec.changelog_topic)
    if ours is not None and its is not None and ours != its:
        problems.append(
            f"{spec.changelog_topic} has {its} partitions, {spec.input_topic} has {ours}: state and input must be equal"
        )
    return problems


async def check_topics(spec: StageSpec, options: RuntimeOptions) -> None:
    """Wait until brokers and topics are there; raise what is wrong once patience has run out.

    What no waiting mends is raised at once: a login that is refused, a permission that is missing.
    """
    give_up_at = time.monotonic() + options.start_timeout_s
    told: list[str] = []
    while True:
        try:
            sight = await _allowed(spec, options)
            problems = topic_problems(spec, sight.partitions)
            error: ExpectedError = TopicsNotReadyError(f"{'; '.join(problems)}; create them with: pegel topics apply")
        except KafkaRefusedError:
            raise
        except KafkaUnreachableError as cause:
            problems = [str(cause)]
            error = KafkaUnreachableError(f"{cause}; start it or name another address (--bootstrap HOST:PORT)")
        if not problems:
            return
        if time.monotonic() > give_up_at:
            raise error
        if problems != told:
            log_events.WAITING.tell(reason="; ".join(problems))
            told = problems
        await asyncio.sleep(RETRY_S)


async def refusal_now(spec: StageSpec, options: RuntimeOptions) -> str | None:
    """After a failure: how the brokers refuse us by now, if they do; the client's own error often does not say it."""
    try:
        async with asyncio.timeout(REFUSAL_ASKED_S):
            await _allowed(spec, options)
    except KafkaRefusedError as refusal:
        return str(refusal)
    except (KafkaUnreachableError, TimeoutError):
        return None
    return None


async def _allowed(spec: StageSpec, options: RuntimeOptions) -> Sight:
    """What we see of the cluster; `KafkaRefusedError` if we are not let in, or may not do all that the stage does."""
    topics = (spec.input_topic, spec.changelog_topic, *spec.output_topics, *spec.read_topics)
    transactional = options.guarantee is Guarantee.EXACTLY_ONCE
    needed = of_worker(spec, options.group, transactional=transactional)
    sight = await look(options.kafka, topics, needed)
    if sight.denied:
        listed = ", ".join(str(one) for one in sight.denied)
        raise KafkaRefusedError(
            f"Kafka at {options.kafka.bootstrap} does not allow this user {listed}; "
            f"what it needs is listed by: pegel topics acls {spec.name}"
        )
    return sight
