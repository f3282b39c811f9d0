"""Laws of the image: what is built from what, and who runs in it."""

import json
import re
import shlex
from typing import Final

import pytest

from streams.settings import setting_names, variable_of
from tests.unit.deploy.manifests import ROOT

FILE: Final = ROOT / "deploy" / "Dockerfile"
PINNED: Final = re.compile(r"python:3\.\d+\.\d+-slim-\w+")


def instructions() -> list[tuple[str, str]]:
    """Name and arguments of each, continued lines joined, comments left out."""
    text = "\n".join(line for line in FILE.read_text().splitlines() if not line.startswith("#"))
    joined = re.sub(r"\\\n\s*", "", text)
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in joined.splitlines() if line]


def stages() -> list[list[tuple[str, str]]]:
    found: list[list[tuple[str, str]]] = []
    for name, arguments in instructions():
        if name == "FROM":
            found.append([])
        found[-1].append((name, arguments))
    return found


def only(stage: list[tuple[str, str]], name: str) -> str:
    (found,) = [arguments for one, arguments in stage if one == name]
    return found


def test_both_stages_are_of_one_pinned_image_so_that_what_is_compiled_fits() -> None:
    bases = [only(stage, "FROM").split()[0] for stage in stages()]

    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert PINNED.fullmatch(bases[0])


def test_every_package_is_checked_by_hash_and_none_is_resolved() -> None:
    build, _ = stages()
    installs = [
        part for name, arguments in build if name == "RUN" for part in arguments.split("&&") if "pip install" in part
    ]

    assert len(installs) == 3
    for install in installs:
        assert "--require-hashes -r requirements" in install or "--no-deps /src/dist/*.whl" in install


@pytest.mark.parametrize("stage", stages(), ids=["build", "run"])
def test_what_is_copied_is_there_and_is_let_through(stage: list[tuple[str, str]]) -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert ignored[0] == "*"
    let_through = [one.removeprefix("!") for one in ignored if one.startswith("!")]
    for name, arguments in stage:
        if name != "COPY" or "--from=" in arguments:
            continue
        for source in shlex.split(arguments)[:-1]:
            assert (ROOT / source).exists(), source
            assert source in let_through or (source.endswith(".lock") and "requirements*.lock" in let_through)


def test_nothing_of_the_build_is_in_the_image_but_the_environment_that_runs() -> None:
    _, run = stages()

    assert [arguments for name, arguments in run if name in ("COPY", "ADD")] == ["--from=build /opt/pegel /opt/pegel"]
    assert not [
        arguments for name, arguments in run if name == "RUN" and re.search(r"pip|apt-get|curl|wget", arguments)
    ]


def test_it_runs_as_nobody_special_and_is_asked_to_stop_as_a_worker_expects() -> None:
    _, run = stages()

    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", only(run, "USER"))
    assert only(run, "STOPSIGNAL") == "SIGTERM"
    assert json.loads(only(run, "ENTRYPOINT")) == ["pegel"]
    assert "VOLUME" not in [name for name, _ in run]


def test_it_is_checked_where_a_worker_listens() -> None:
    _, run = stages()
    variables = dict(one.split("=", 1) for one in shlex.split(only(run, "ENV")))
    known = {variable_of(path) for path, _ in setting_names()}

    assert {name for name in variables if name.startswith("PEGEL_")} <= known
    assert variables["PEGEL_WEB__HOST"] == "0.0.0.0"
    assert variables["PEGEL_WEB__PORT"] == only(run, "EXPOSE")
    check = only(run, "HEALTHCHECK")
    assert json.loads(check[check.index("CMD") + 4 :]) == ["python", "-m", "streams.healthcheck"]
