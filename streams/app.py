"""The one composition root: from settings to a worker that can run.

Every other module is told what it needs; here is where it is told. A stage's module is imported only when its worker
is built, so that a worker holds one stage and what that stage needs.
"""

import importlib
import os
from typing import Final

from streams.runtime.options import Guarantee, RuntimeOptions
from streams.runtime.stage import StageSpec
from streams.runtime.worker import Worker
from streams.security.access import client_access
from streams.security.permissions import Permission
from streams.security.roles import STAGES, Role, command_permissions, stage_permissions
from streams.settings import Settings
from streams.topics import Topics
from streams.tracing.configured import span_outbox

# Each module has `stage_spec(settings, topics) -> StageSpec`.
AGENTS: Final = {
    "intake": "streams.intake.agent",
    "engagement": "streams.engagement.agent",
    "router": "streams.notify.router.agent",
    "courier": "streams.notify.courier.agent",
}

REBALANCE_TIMEOUT_MS: Final = 60_000
DEVELOPMENT_SESSION_MS: Final = 10_000


def build_worker(name: str, settings: Settings) -> Worker:
    """Build the worker of a stage, one of ``AGENTS``."""
    topics = Topics(settings.kafka.topic_prefix)
    spec: StageSpec = importlib.import_module(AGENTS[name]).stage_spec(settings, topics)
    options = runtime_options(spec.name, settings, topics)
    return Worker(spec, options, span_outbox(settings.tracing, os.environ, f"pegel-{name}", options.instance_id))


def permissions_of(role: Role, settings: Settings) -> tuple[Permission, ...]:
    """The least that a role must be allowed on the cluster."""
    topics = Topics(settings.kafka.topic_prefix)
    if role not in STAGES:
        return command_permissions(role, topics)
    # What a stage reads and writes is no matter of its settings: a catalog or playbook need not be at hand here.
    spec: StageSpec = importlib.import_module(AGENTS[role.value]).stage_spec(Settings(), topics)
    transactional = settings.runtime.guarantee is Guarantee.EXACTLY_ONCE
    return stage_permissions(spec, topics, transactional=transactional)


def runtime_options(stage: str, settings: Settings, topics: Topics) -> RuntimeOptions:
    kafka, runtime = settings.kafka, settings.runtime
    return RuntimeOptions(
        kafka=client_access(kafka),
        group=topics.group(stage),
        flush_interval_ms=runtime.flush_interval_ms,
        session_timeout_ms=kafka.session_timeout_ms,
        heartbeat_interval_ms=kafka.heartbeat_interval_ms,
        # A short session says that restarts are watched by somebody: then joining must not take a minute either.
        rebalance_timeout_ms=(
            kafka.session_timeout_ms if kafka.session_timeout_ms <= DEVELOPMENT_SESSION_MS else REBALANCE_TIMEOUT_MS
        ),
        instance_id=runtime.instance_id,
        shutdown_timeout_s=runtime.shutdown_timeout_s,
        transaction_timeout_ms=runtime.transaction_timeout_ms,
        stall_timeout_s=runtime.stall_timeout_s,
        silence_timeout_s=runtime.silence_timeout_s,
        start_timeout_s=runtime.start_timeout_s,
        guarantee=runtime.guarantee,
        web_host=settings.web.host,
        web_port=settings.web.port,
    )
