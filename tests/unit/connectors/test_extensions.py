"""Connectors of other packages, installed as packages are: a module, and metadata with an entry point."""

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.connectors.contract import ConnectorType
from streams.connectors.extensions import ConnectorError
from streams.connectors.registry import BUILT_IN, Registry
from streams.errors import InvalidSchemaError
from streams.notify.playbooks import PlaybookError, load_playbooks
from streams.notify.playbooks import load as loading

GOOD = """
    from typing import Literal
    from schemas.playbook import Destination
    from streams.connectors.contract import ConnectorType
    from streams.connectors.dialects import Dialect

    class Config(Destination):
        type: Literal["pager"]

    PAGER = ConnectorType("pager", Config, Dialect.PLAIN, lambda config: None, deduplicates=True)
"""
PLAYBOOK = """
format: 1
name: acme
destinations:
  - id: on-call
    type: pager
templates:
  risk: {title: "{{ account }}"}
plays:
  - {id: page, segment: at_risk, template: risk, destination: on-call}
"""


class Site:
    """A directory of installed packages."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def install(self, package: str, source: str, name: str = "pager", value: str = "PAGER") -> None:
        module = package.replace("-", "_")
        (self.path / f"{module}.py").write_text(textwrap.dedent(source))
        info = self.path / f"{module}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[pegel.connectors]\n{name} = {module}:{value}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    path = tmp_path / "site"
    path.mkdir()
    monkeypatch.syspath_prepend(str(path))
    before = set(sys.modules)
    yield Site(path)
    for name in set(sys.modules) - before:
        if name.startswith("acme_"):
            del sys.modules[name]


def test_a_connector_of_another_package_is_found_by_its_name(site: Site) -> None:
    assert "pager" not in Registry(BUILT_IN)
    site.install("acme-pager", GOOD)
    registry = Registry(BUILT_IN)
    assert "pager" in registry
    assert set(registry) == {*BUILT_IN, "pager"}
    assert len(registry) == len(BUILT_IN) + 1
    assert isinstance(registry["pager"], ConnectorType)
    assert registry["pager"] is registry["pager"]


def test_nothing_is_imported_for_being_installed(site: Site) -> None:
    site.install("acme-pager", "raise SystemError('boom')")
    registry = Registry(BUILT_IN)
    assert registry["slack"].name == "slack"
    assert "pager" in list(registry)
    assert "acme_pager" not in sys.modules
    with pytest.raises(KeyError):
        registry["pagr"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import no_such_module_anywhere", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
        ("raise RuntimeError('one\\ntwo')", "RuntimeError: one two"),
        ("def f(:", "SyntaxError"),
        ("PAGR = 1", "AttributeError"),
        ("PAGER = 1", "its entry point is a int, not a ConnectorType"),
        (GOOD.replace('("pager"', '("beeper"'), "it calls itself 'beeper'"),
        (GOOD.replace('Literal["pager"]', "str"), 'its config must say type: Literal["pager"]'),
        (GOOD.replace('pager", Config', 'pager", dict'), "no subclass of schemas.playbook.Destination"),
        (GOOD.replace("lambda config: None", "None"), "its build cannot be called"),
        (GOOD.replace("deduplicates=True", "deduplicates=True, batch_max=0"), "AssertionError"),
    ],
)  # fmt: skip
def test_a_broken_one_is_told_in_a_sentence_that_names_the_package(site: Site, source: str, said: str) -> None:
    site.install("acme-pager", source)
    with pytest.raises(ConnectorError) as caught:
        Registry(BUILT_IN)["pager"]
    assert str(caught.value).startswith("the connector 'pager' of acme-pager 1.2 cannot be used: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, InvalidSchemaError)


def test_a_name_is_one_that_playbooks_can_write(site: Site) -> None:
    site.install("acme-pager", GOOD, name="Pager!")
    with pytest.raises(ConnectorError, match="lower-case letters"):
        Registry(BUILT_IN)["Pager!"]


def test_of_several_with_one_name_none_is_guessed(site: Site) -> None:
    site.install("acme-pager", GOOD)
    site.install("acme-beeper", GOOD)
    with pytest.raises(ConnectorError, match=r"acme-beeper 1\.2, acme-pager 1\.2; uninstall all but one"):
        Registry(BUILT_IN)["pager"]


def test_a_built_in_one_is_not_replaced_and_that_is_said_once(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.install("acme-slack", GOOD.replace("pager", "slack"), name="slack")
    registry = Registry(BUILT_IN)
    assert registry["slack"] is registry.get("slack") is BUILT_IN["slack"]
    assert len(registry) == len(list(registry)) == len(BUILT_IN)
    [warning] = caplog.messages
    assert warning == "acme-slack 1.2 has a connector 'slack', which is built in: the built-in one is used"


def test_a_playbook_uses_it_and_a_broken_one_is_a_problem_with_its_line(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "playbook.yaml"
    path.write_text(PLAYBOOK)
    site.install("acme-pager", GOOD)
    monkeypatch.setattr(loading, "CONNECTORS", Registry(BUILT_IN))
    assert load_playbooks(str(path), {}).type_of("on-call").name == "pager"
    (site.path / "acme_pager.py").write_text("import no_such_module_anywhere")
    sys.modules.pop("acme_pager")
    monkeypatch.setattr(loading, "CONNECTORS", Registry(BUILT_IN))
    with pytest.raises(PlaybookError) as caught:
        load_playbooks(str(path), {})
    [problem] = caught.value.problems
    assert (problem.line, problem.place) == (6, "destinations 'on-call' type")
    assert "No module named 'no_such_module_anywhere'" in problem.reason
