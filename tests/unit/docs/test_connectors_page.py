"""docs/connectors.md: its tables are complete, its playbooks load, and its connector of 60 lines works as installed."""

import re
import sys
import tomllib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
from pydantic import ValidationError

from streams.connectors.contract import Connector
from streams.connectors.extensions import GROUP
from streams.connectors.fields import NAMES, PREFIXES
from streams.connectors.outcome import OutcomeKind
from streams.connectors.registry import BUILT_IN, Registry
from streams.notify.playbooks import load as loading
from streams.notify.playbooks import load_playbooks
from tests.providers.faults import dropped, html_page, status
from tests.providers.server import Ask, ProviderServer, Refused, Reply, Route, json_reply
from tests.unit.connectors.kit import message

ROOT: Final = Path(__file__).parents[3]
PAGE: Final = (ROOT / "docs" / "connectors.md").read_text(encoding="utf-8")
EXAMPLE_LINES_MAX: Final = 60
KEY: Final = "very-secret-token"
K = OutcomeKind


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def rows(first: str) -> dict[str, list[str]]:
    """The table whose first column has this heading: its cells by the first."""
    table = PAGE.split(f"| {first} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return {(cells := [cell.strip() for cell in line.strip("|").split(" | ")])[0].strip(): cells[1:] for line in table}


def test_the_table_has_every_connector_and_what_its_type_says() -> None:
    found = {re.sub(r"\[`(\w+)`\].*", r"\1", name): cells for name, cells in rows("type").items()}
    assert set(found) == set(BUILT_IN)
    for name, (_, repeat, batch, waiting) in found.items():
        kind = BUILT_IN[name]
        assert ("may " in repeat) is not kind.deduplicates, name
        assert int(batch) == kind.batch_max, name
        assert (waiting == "the newest is written") is kind.latest_wins, name


def test_the_readmes_are_where_the_table_says() -> None:
    for target in re.findall(r"\]\((\.\./[^)]+)\)", PAGE):
        assert (ROOT / "docs" / target).is_file()


def test_every_outcome_and_every_source_is_explained() -> None:
    assert {name.strip("`") for name in rows("outcome")} == {kind.value for kind in OutcomeKind}
    sources = " ".join(rows("source"))
    assert set(re.findall(r"`([^`]+)`", sources)) == {*NAMES, *(f"{prefix}NAME" for prefix in PREFIXES), "=CONSTANT"}


def test_fields_are_mapped_by_a_playbook_that_loads(tmp_path: Path) -> None:
    path = tmp_path / "playbook.yaml"
    path.write_text(blocks("yaml")[0])
    books = load_playbooks(str(path), {"PEGEL_HUBSPOT_TOKEN": KEY})
    assert (books.type_of("crm").name, books.warnings) == ("hubspot", ())


class PagerDuty:
    """The Events API: alerts by their dedup key."""

    def __init__(self) -> None:
        self.alerts: dict[str, str] = {}

    def routes(self) -> list[Route]:
        return [Route("enqueue", "POST", "/v2/enqueue", self._enqueue)]

    def _enqueue(self, ask: Ask) -> Reply:
        event = ask.json() or {}
        payload = event.get("payload") or {}
        if event.get("routing_key") != KEY or event.get("event_action") != "trigger":
            raise Refused(json_reply({"status": "invalid event"}, 400))
        if not {"summary", "source", "severity"} <= payload.keys() or payload["severity"] != "error":
            raise Refused(json_reply({"status": "invalid event"}, 400))
        self.alerts[event["dedup_key"]] = payload["summary"]
        return json_reply({"status": "success", "dedup_key": event["dedup_key"]}, 202)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """The page's module and metadata, as a package manager lays them out."""
    [module], [project] = blocks("python"), [tomllib.loads(text)["project"] for text in blocks("toml")]
    [(name, value)] = project["entry-points"][GROUP].items()
    (tmp_path / f"{value.partition(':')[0]}.py").write_text(module)
    info = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {value}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = Registry(BUILT_IN)
    monkeypatch.setattr(loading, "CONNECTORS", registry)
    yield registry
    sys.modules.pop("pegel_pagerduty", None)


@asynccontextmanager
async def on_call(registry: Registry, tmp_path: Path) -> AsyncIterator[tuple[Connector, ProviderServer, PagerDuty]]:
    path = tmp_path / "playbook.yaml"
    path.write_text(blocks("yaml")[1])
    config = load_playbooks(str(path), {"PEGEL_PAGERDUTY_KEY": KEY}).destinations["on-call"]
    api = PagerDuty()
    async with ProviderServer(api) as server:
        connector = registry["pagerduty"].build(config.model_copy(update={"url": server.url(), "allow_http": True}))
        try:
            yield connector, server, api
        finally:
            await connector.close()


def test_the_example_has_sixty_lines_at_most() -> None:
    [example] = blocks("python")
    assert len(example.splitlines()) <= EXAMPLE_LINES_MAX


async def test_the_example_delivers_and_a_repeat_is_one_alert(installed: Registry, tmp_path: Path) -> None:
    async with on_call(installed, tmp_path) as (connector, server, api):
        server.script("enqueue", dropped(commit=True))
        assert (await connector.deliver(message())).kind is K.AMBIGUOUS
        again = await connector.deliver(message(2, after_ambiguous=True))
        assert (again.kind, again.ref) == (K.OK, message().delivery_id)
        assert api.alerts == {message().delivery_id: "acme: at risk"}
        assert len({ask.body for ask in server.asked("enqueue")}) == 1


async def test_the_example_knows_what_answers_mean(installed: Registry, tmp_path: Path) -> None:
    async with on_call(installed, tmp_path) as (connector, server, _):
        server.script("enqueue", status(429, headers={"Retry-After": "7"}), status(400), status(503), html_page())
        outcomes = [await connector.deliver(message()) for _ in range(4)]
        assert [outcome.kind for outcome in outcomes] == [K.THROTTLED, K.REJECTED, K.RETRY_DESTINATION, K.AMBIGUOUS]
        assert outcomes[0].after_s == 7.0
        assert KEY not in f"{outcomes}{vars(connector)}"


def test_the_examples_config_is_checked(installed: Registry) -> None:
    with pytest.raises(ValidationError, match="severity"):
        installed["pagerduty"].config.model_validate(
            {"id": "x", "type": "pagerduty", "routing_key": KEY, "severity": "awful"}
        )
