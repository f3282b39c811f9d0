"""The engagement agent's shell: settings in, stage specification out."""

from streams.catalogs import load_catalog
from streams.engagement.stage import EngagementConfig, EngagementStage
from streams.engine.program import compile_catalog
from streams.runtime.rejects import RejectLimits
from streams.runtime.stage import StageSpec
from streams.settings import Settings
from streams.topics import Topics


def stage_spec(settings: Settings, topics: Topics) -> StageSpec:
    """How the runtime runs the engagement stage.

    Raises:
        CatalogError: the configured catalog cannot be used.
    """
    engagement = settings.engagement
    program = compile_catalog(load_catalog(engagement.catalog), engagement.catalog)
    config = EngagementConfig(
        program=program,
        topics=topics,
        partitions=settings.kafka.partitions,
        clock=engagement.clock,
        clock_hold_ms=round(engagement.clock_hold_s * 1000),
        rejects=RejectLimits(
            engagement.reject_sample_min, engagement.reject_ratio_max, "PEGEL_ENGAGEMENT__REJECT_RATIO_MAX"
        ),
    )
    return StageSpec(
        name="engagement",
        input_topic=topics.account_events,
        changelog_topic=topics.accounts_changelog,
        factory=lambda partition: EngagementStage(partition, config),
        output_topics=(
            topics.transitions,
            topics.membership,
            topics.account_events,
            topics.account_events_late,
            topics.account_events_dlq,
            topics.catalogs,
        ),
    )
