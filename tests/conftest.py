"""A broker for the tests that need one, chosen as `pegel dev kafka` chooses, shared by the whole session."""

import os
import sys
import uuid
from collections.abc import Iterator

import pytest
from hypothesis import settings

from streams.dev.broker import Broker, BrokerKind, UnavailableError, broker_for
from streams.engine import partition
from streams.log_events import PAUSES
from streams.settings import KafkaSettings, Settings
from streams.topic_admin import TopicAdmin
from streams.topics import specs
from tests.toolchains import missing

COMPILED = os.environ.get("PEGEL_TEST_COMPILED") == "1"
REAL_KINDS = (BrokerKind.DOCKER, BrokerKind.JARS)

# How long an example takes says more of the machine than of the code: a busy one fails no law.
settings.register_profile("pegel", deadline=None)
settings.load_profile("pegel")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--chaos-long", action="store_true", help="the chaos tests in their long form")
    parser.addoption("--chaos-seed", type=int, help="the seed of the chaos tests' schedules")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Under `make test-compiled` the engine must be what was compiled, not the source beside it."""
    if not COMPILED:
        return
    if partition.__file__.endswith(".py"):
        pytest.exit(f"{partition.__file__} is not compiled", returncode=1)
    for item in items:
        if item.get_closest_marker("interpreted"):
            item.add_marker(pytest.mark.skip(reason="patches a constant, which compiled code has taken in"))


def _note(line: str) -> None:
    sys.stderr.write(f"kafka fixture: {line}\n")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own PEGEL_ variables decide no test."""
    for name in list(os.environ):
        if name.startswith("PEGEL_"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _no_pauses_from_before() -> None:
    """What an earlier test made the log say keeps no line of this one back."""
    PAUSES.clear()


@pytest.fixture(scope="session")
def kafka() -> Iterator[Broker]:
    """A real broker: PEGEL_TEST_BOOTSTRAP, else Docker, else jars. Never the mock cluster, which proves nothing.

    Where none can run the tests are skipped, but for CI: there a skipped suite would look like a passed one.
    """
    given = os.environ.get("PEGEL_TEST_BOOTSTRAP")
    try:
        with broker_for(_note, given=given, kinds=REAL_KINDS) as broker:
            yield broker
    except UnavailableError as error:
        missing(str(error))


@pytest.fixture
def topic_prefix(kafka: Broker) -> Iterator[str]:
    """A prefix of the test's own; what it made is deleted afterwards."""
    prefix = f"t{uuid.uuid4().hex[:10]}."
    yield prefix
    admin = TopicAdmin(KafkaSettings(bootstrap=kafka.bootstrap))
    if kafka.process is None or kafka.process.running:
        admin.delete([name for name in admin.names() if name.startswith(prefix)])


@pytest.fixture
def kafka_settings(kafka: Broker, topic_prefix: str) -> Settings:
    """Settings that point at the broker; no topic exists yet."""
    return Settings(
        kafka=KafkaSettings(
            bootstrap=kafka.bootstrap, topic_prefix=topic_prefix, session_timeout_ms=6_000, heartbeat_interval_ms=1_000
        )
    )


@pytest.fixture
def deployment(kafka_settings: Settings) -> Settings:
    """`kafka_settings`, with all topics made."""
    TopicAdmin(kafka_settings.kafka).apply(specs(kafka_settings))
    return kafka_settings
