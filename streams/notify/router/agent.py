"""The router as the runtime sees it."""

import os
from typing import Final

from streams.notify.playbooks import Playbooks, load_playbooks
from streams.notify.router.interest import Interests
from streams.notify.router.stage import RouterStage
from streams.runtime.stage import Stage, StageSpec
from streams.settings import Settings
from streams.topics import Topics

NAME: Final = "router"


def stage_spec(settings: Settings, topics: Topics) -> StageSpec:
    """Raises `PlaybookError` if the playbooks cannot be used."""
    chosen = settings.notify.playbooks
    playbooks = load_playbooks(str(chosen), os.environ) if chosen is not None else Playbooks()
    interests = Interests([playbooks.plan(name, settings.notify.max_age_h) for name in playbooks.destinations])

    def stage(partition: int) -> Stage:
        return RouterStage(partition, interests, playbooks.destinations.keys(), topics)

    return StageSpec(
        name=NAME,
        input_topic=topics.transitions,
        changelog_topic=topics.router_changelog,
        factory=stage,
        output_topics=(topics.inbox, topics.transitions_dlq),
    )
