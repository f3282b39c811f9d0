"""What the connectors' READMEs say holds: their examples load, and they name every key."""

import inspect
import re
import time
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import WebhookVerificationError

from schemas.playbook import Destination
from streams.connectors.contract import ConnectorType
from streams.connectors.registry import CONNECTORS
from streams.connectors.webhook.connector import body_of
from streams.connectors.webhook.signature import key_of, signed_headers
from streams.notify.playbooks import load_playbooks
from tests.providers.webhook import SECRET
from tests.unit.connectors.kit import DELIVERY_ID, message

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
VARIABLE = re.compile(r"\$\{([A-Z_]+)\}")

each = pytest.mark.parametrize("kind", CONNECTORS.values(), ids=list(CONNECTORS))


def readme(kind: ConnectorType) -> Path:
    return Path(inspect.getfile(kind.config)).with_name("README.md")


def blocks(kind: ConnectorType, language: str) -> list[str]:
    return [text for name, text in FENCE.findall(readme(kind).read_text()) if name == language]


def value_of(variable: str) -> str:
    """Something that could be meant."""
    if variable.endswith("URL"):
        return "https://example.com/very-secret-token"
    return "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" if variable.endswith("SECRET") else "very-secret-token"


@each
def test_the_example_is_a_playbook_that_loads(kind: ConnectorType, tmp_path: Path) -> None:
    [example] = blocks(kind, "yaml")
    path = tmp_path / "playbook.yaml"
    path.write_text(example)
    environ = {name: value_of(name) for name in VARIABLE.findall(example)}
    books = load_playbooks(str(path), environ)
    assert kind.name in {destination.type for destination in books.destinations.values()}
    assert books.warnings == ()
    assert {play.destination for play in books.plays} == set(books.destinations)
    # It can be checked where its secrets are not, too.
    assert set(load_playbooks(str(path), None).destinations) == set(books.destinations)


@each
def test_every_key_of_its_own_is_explained(kind: ConnectorType) -> None:
    text = readme(kind).read_text()
    own = set(kind.config.model_fields) - set(Destination.model_fields)
    assert not [name for name in sorted(own) if f"`{name}`" not in text]


@each
def test_it_says_what_is_guaranteed(kind: ConnectorType) -> None:
    text = readme(kind).read_text()
    assert "## Guarantees" in text
    assert ("At least once" in text or "at least once" in text) or kind.deduplicates


def test_the_receiver_of_webhooks_reads_what_is_sent() -> None:
    [example] = blocks(CONNECTORS["webhook"], "python")
    names: dict[str, Any] = {}
    exec(example, names)
    body = body_of(message())
    headers = signed_headers(key_of(SECRET), DELIVERY_ID, int(time.time()), body)
    assert names["receive"](SECRET, body, headers)["delivery_id"] == DELIVERY_ID
    with pytest.raises(WebhookVerificationError):
        names["receive"](SECRET, body + b" ", headers)
