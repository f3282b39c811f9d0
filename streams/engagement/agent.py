"""The engagement agent's shell: settings in, stage specification out."""

from streams.catalogs import load_catalog
from streams.engagement.stage import EngagementConfig, EngagementStage
from streams.engine import codec
from streams.engine.program import compile_catalog
from streams.errors import SettingsError
from streams.runtime.rejects import RejectLimits
from streams.runtime.stage import StageSpec
from streams.settings import Settings
from streams.topics import Topics


def state_version_of(settings: Settings) -> int:
    """The version in which accounts are stored.

    Raises:
        SettingsError: this program does not write the one that the settings name.
    """
    wanted = settings.engagement.state_version
    if wanted is None or codec.OLDEST_WRITTEN <= wanted <= codec.VERSION:
        return codec.VERSION if wanted is None else wanted
    raise SettingsError(
        f"engagement.state_version: state is written in versions {codec.OLDEST_WRITTEN} to {codec.VERSION}, not in "
        f"{wanted}; leave it out for {codec.VERSION}"
    )


def stage_spec(settings: Settings, topics: Topics) -> StageSpec:
    """How the runtime runs the engagement stage.

    Raises:
        CatalogError: the configured catalog cannot be used.
        SettingsError: the configured version of state is not written.
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
        state_version=state_version_of(settings),
    )
    return StageSpec(
        name="engagement",
        input_topic=topics.account_events,
        changelog_topic=topics.accounts_changelog,
        factory=lambda partition: EngagementStage(partition, config),
        output_topics=output_topics(topics),
    )


def output_topics(topics: Topics) -> tuple[str, ...]:
    return (
        topics.transitions,
        topics.membership,
        topics.account_events,
        topics.account_events_late,
        topics.account_events_dlq,
        topics.catalogs,
    )
