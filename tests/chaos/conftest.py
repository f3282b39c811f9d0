"""What the chaos tests share: a cluster of three to break, the seed, the form."""

import time
from collections.abc import Iterator
from typing import Final

import pytest

from streams.dev.jars import UnavailableError, find_classpath, find_java
from tests.chaos.storm import note
from tests.chaos.worlds import Java, World, world
from tests.toolchains import missing

SEED: Final = 20261122


@pytest.fixture(scope="session")
def java() -> Java:
    try:
        return Java(find_java(), find_classpath(note))
    except UnavailableError as error:
        missing(str(error))


@pytest.fixture(scope="session")
def long_form(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--chaos-long"))


@pytest.fixture
def seed(request: pytest.FixtureRequest, *, long_form: bool) -> int:
    """Given, else always the same in the short form and always another in the long one."""
    given = request.config.getoption("--chaos-seed")
    seed = int(given) if given is not None else time.time_ns() % 1_000_000 if long_form else SEED
    note(f"seed {seed}; again with: --chaos-seed {seed}{' --chaos-long' if long_form else ''}")
    return seed


@pytest.fixture(scope="package")
def cluster(java: Java, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(java, tmp_path_factory.mktemp("cluster"), servers=3) as three:
        yield three
