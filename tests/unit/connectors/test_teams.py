"""What is Teams' own: the card, its size, what a workflow's answers mean."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.connectors.http import Answer
from streams.connectors.message import Link, Rendered
from streams.connectors.outcome import OutcomeKind as K
from streams.connectors.teams.answers import outcome_of
from streams.connectors.teams.connector import TeamsConnector
from streams.connectors.teams.payload import CUT, PAYLOAD_BYTES_KEPT, payload_of, size_of
from tests.providers.server import ProviderServer
from tests.providers.teams import PATH, SIGNATURE, TeamsApi, texts_of
from tests.unit.connectors.kit import DELIVERY_ID, NOW_MS, message
from tests.unit.connectors.kits.teams import TeamsRig


def card_of(**more: object) -> dict[str, object]:
    found: dict[str, object] = json.loads(payload_of(message(**more)))["attachments"][0]["content"]  # type: ignore[arg-type]
    return found


def test_nothing_in_a_card_is_read_as_markdown() -> None:
    card = card_of(title="# <at>all</at> [x](https://evil.example)", body="**a**\n\n- b", owner="anna")
    assert {part["type"] for part in card["body"]} == {"RichTextBlock"}  # type: ignore[attr-defined]
    assert texts_of(card) == [
        "# <at>all</at> [x](https://evil.example)", "**a**", "- b", "for anna · 2026-03-01T12:34:58.000Z · play save",
    ]  # fmt: skip


def test_the_card_bears_its_delivery_and_its_links() -> None:
    links = (Link("Open", "https://crm.example/a"), Link("Run", "javascript:alert(1)"))
    card = card_of(rendered=Rendered("t", "b", links))
    assert card["body"][0]["id"] == DELIVERY_ID  # type: ignore[index]
    assert card["actions"] == [{"type": "Action.OpenUrl", "title": "Open", "url": "https://crm.example/a"}]
    assert "actions" not in card_of()


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(["x", "ä", "語", "😀", '"', "\\", "\x01"]), st.integers(1, 12_000), st.integers(1, 300))
def test_no_payload_is_beyond_the_limit_and_what_is_cut_says_so(character: str, chars: int, lines: int) -> None:
    body = "\n".join([character * (chars // lines + 1)] * lines)
    payload = payload_of(message(body=body))
    assert size_of(payload) <= PAYLOAD_BYTES_KEPT
    texts = texts_of(json.loads(payload)["attachments"][0]["content"])
    says_so = CUT in texts or any(text.endswith("…") for text in texts)
    assert says_so is ("\n".join(texts[1:-1]) != body)


@pytest.mark.parametrize(
    ("status", "body", "kind", "detail"),
    [
        (202, b"", K.OK, ""),
        (200, b"1", K.OK, ""),
        (200, b"<html>sign in</html>", K.RETRY_DESTINATION, "html_page"),
        (200, b"message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with Context",
         K.THROTTLED, "429"),
        (200, b"Microsoft Teams endpoint returned HTTP error 413 with", K.REJECTED, "413"),
        (200, b"Microsoft Teams endpoint returned HTTP error 503 with", K.RETRY_DESTINATION, "503"),
        (200, b"Microsoft Teams endpoint returned HTTP error 200 with", K.AMBIGUOUS, "200"),
        (400, b'{"error":{"code":"WorkflowTriggerIsNotEnabled"}}', K.AUTH, "400 WorkflowTriggerIsNotEnabled"),
        (401, b'{"error":{"code":"DirectApiAuthorizationRequired"}}', K.AUTH, "401 DirectApiAuthorizationRequired"),
        (404, b'{"error":{"code":"WorkflowNotFound"}}', K.GONE, "404 WorkflowNotFound"),
        (413, b"", K.REJECTED, "413"),
        (400, b'{"error":{"code":"very-secret-token"}}', K.REJECTED, "400"),
        (400, b'{"error":7}', K.REJECTED, "400"),
        (502, b"", K.RETRY_DESTINATION, "502"),
    ],
)  # fmt: skip
def test_what_a_workflow_says_decides(status: int, body: bytes, kind: K, detail: str) -> None:
    outcome = outcome_of(Answer(status, body), NOW_MS)
    assert (outcome.kind, outcome.detail) == (kind, detail)


async def test_a_workflow_that_was_turned_off_loses_nothing_and_goes_on() -> None:
    api = TeamsApi()
    async with ProviderServer(api) as server:
        rig = TeamsRig(api, server)
        connector = TeamsConnector(rig.config())  # type: ignore[arg-type]
        api.enabled = False
        assert (await connector.deliver(message())).kind is K.AUTH
        api.enabled = True
        assert (await connector.deliver(message())).kind is K.OK
        await connector.close()


async def test_more_than_four_a_second_are_throttled() -> None:
    api = TeamsApi()
    async with ProviderServer(api) as server:
        connector = TeamsConnector(TeamsRig(api, server).config())  # type: ignore[arg-type]
        kinds = [(await connector.deliver(message())).kind for _ in range(5)]
        assert kinds == [K.OK] * 4 + [K.THROTTLED]
        await connector.close()


@pytest.mark.parametrize(
    ("path", "kind"), [(f"{PATH}?sig=wrong", K.AUTH), (f"/workflows/other?sig={SIGNATURE}", K.GONE)]
)
async def test_a_url_that_is_not_right_is_found_out(path: str, kind: K) -> None:
    api = TeamsApi()
    async with ProviderServer(api) as server:
        connector = TeamsConnector(TeamsRig(api, server).config_at(server.url(path)))  # type: ignore[arg-type]
        assert (await connector.deliver(message())).kind is kind
        await connector.close()
