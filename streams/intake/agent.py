"""Intake as the runtime runs it: settings and topic names in, a stage specification out."""

from streams.intake.adapters import Adapter, segment
from streams.intake.identity import Identity
from streams.intake.identity_settings import path_of
from streams.intake.stage import IntakeStage, Route
from streams.runtime.alignment import Alignment
from streams.runtime.rejects import RejectLimits, RejectWindow
from streams.runtime.stage import StageSpec
from streams.settings import Settings
from streams.topics import Topics

NAME = "intake"


def stage_spec(settings: Settings, topics: Topics, adapt: Adapter = segment.adapt) -> StageSpec:
    """The stage that turns product events into account events; raises `SettingsError`."""
    intake = settings.intake
    path = path_of(intake)
    route = Route(source=topics.product_events, accepted=topics.account_events, refused=topics.product_events_dlq)

    limits = RejectLimits(intake.reject_sample_min, intake.reject_ratio_max, "PEGEL_INTAKE__REJECT_RATIO_MAX")

    def stage(partition: int) -> IntakeStage:
        identity = Identity(path, learns=intake.learn_users)
        window = RejectWindow(limits)
        return IntakeStage(partition, route, adapt, identity, window)

    return StageSpec(
        name=NAME,
        input_topic=topics.product_events,
        changelog_topic=topics.identity_changelog,
        factory=stage,
        output_topics=(topics.account_events, topics.product_events_dlq),
        alignment=Alignment(intake.alignment_ms) if intake.alignment_ms else None,
    )
