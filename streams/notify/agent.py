"""The notifier as the runtime sees it: playbooks, connectors, one desk for the worker, one stage a partition."""

import os
import time

from streams.notify.deliver.desk import Desk
from streams.notify.playbooks import Playbooks, load_playbooks
from streams.notify.stage import NotifierStage
from streams.runtime.stage import Stage, StageSpec
from streams.settings import Settings
from streams.topics import Topics

NAME = "notifier"


def stage_spec(settings: Settings, topics: Topics) -> StageSpec:
    """Raises `PlaybookError` if the playbooks cannot be used."""
    chosen = settings.notify.playbooks
    playbooks = load_playbooks(str(chosen), os.environ) if chosen is not None else Playbooks()
    desk = Desk(
        {name: (config, playbooks.type_of(name).build(config)) for name, config in playbooks.destinations.items()},
        playbooks.write,
        now_ms,
    )

    def stage(partition: int) -> Stage:
        return NotifierStage(partition, desk, playbooks, topics, settings.notify.max_age_h, now_ms)

    return StageSpec(
        name=NAME,
        input_topic=topics.transitions,
        changelog_topic=topics.deliveries_changelog,
        factory=stage,
        output_topics=(topics.actions, topics.transitions_dlq),
        lifespan=desk.open,
    )


def now_ms() -> int:
    return time.time_ns() // 1_000_000
