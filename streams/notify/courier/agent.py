"""The courier as the runtime sees it: playbooks, connectors, one desk for the worker, one stage a partition."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from streams.links.configured import signer
from streams.notify.courier.reading import KafkaReadings, partitions_of
from streams.notify.courier.stage import CourierConfig, CourierStage
from streams.notify.deliver.desk import Desk
from streams.notify.playbooks import Playbooks, load_playbooks
from streams.runtime.partitioner import partition_of
from streams.runtime.stage import Stage, StageSpec
from streams.settings import KafkaSettings, Settings
from streams.topics import Topics

NAME: Final = "courier"


Count = Callable[[KafkaSettings, str], int]


def stage_spec(settings: Settings, topics: Topics, partitions_of: Count = partitions_of) -> StageSpec:
    """Raises `PlaybookError` if the playbooks cannot be used. `partitions_of` asks Kafka, when the worker starts."""
    chosen = settings.notify.playbooks
    playbooks = load_playbooks(str(chosen), os.environ) if chosen is not None else Playbooks()
    kinds = {name: playbooks.type_of(name) for name in playbooks.destinations}
    links = signer(settings.links)
    desk = Desk(
        {name: (config, kinds[name], kinds[name].build(config)) for name, config in playbooks.destinations.items()},
        partial(playbooks.write, track=None if links is None else links.track),
        now_ms,
        playbooks.opens(),
    )

    found: list[int] = []

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        # Whoever writes to the inbox goes by what the topic has, whatever the settings say by now.
        found[:] = [await asyncio.to_thread(partitions_of, settings.kafka, topics.inbox)]
        async with desk.open():
            yield

    def homes(partition: int) -> Iterable[str]:
        (among,) = found
        return (name for name in playbooks.destinations if partition_of(name.encode(), among) == partition)

    config = CourierConfig(
        desk=desk,
        playbooks=playbooks,
        topics=topics,
        max_age_h=settings.notify.max_age_h,
        clock=now_ms,
        readings=lambda partition: KafkaReadings(settings.kafka, topics, partition),
        homes=homes,
    )

    def stage(partition: int) -> Stage:
        return CourierStage(partition, config)

    return StageSpec(
        name=NAME,
        input_topic=topics.inbox,
        changelog_topic=topics.deliveries_changelog,
        factory=stage,
        output_topics=(topics.actions, topics.transitions_dlq),
        read_topics=(topics.membership,),
        lifespan=lifespan,
        metric_words={"destination": tuple(playbooks.destinations)},
    )


def now_ms() -> int:
    return time.time_ns() // 1_000_000
