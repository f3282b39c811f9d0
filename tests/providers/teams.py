"""Microsoft Teams: a workflow that waits for a webhook and posts the card that it is given."""

from typing import Any, Final

from tests.providers.clock import ManualClock
from tests.providers.server import Ask, Reply, Route, json_reply

PATH: Final = "/workflows/very-secret-token/triggers/manual/paths/invoke"
SIGNATURE: Final = "very-secret-signature"
PAYLOAD_BYTES_MAX: Final = 28 * 1_024
CALLS_A_SECOND: Final = 4
ACTIONS_MAX: Final = 6
CARD: Final = "application/vnd.microsoft.card.adaptive"
PART_TYPES: Final = frozenset({"TextBlock", "RichTextBlock", "FactSet", "Container", "ColumnSet", "Image", "ActionSet"})


class TeamsApi:
    def __init__(self, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock()
        self.cards: list[dict[str, Any]] = []
        self.enabled = True
        self._calls: list[float] = []

    def routes(self) -> list[Route]:
        return [
            Route("workflow", "POST", PATH, self._take),
            Route("no_workflow", "POST", "/workflows/{rest:.*}", lambda _: _error(404, "WorkflowNotFound")),
        ]

    def _take(self, ask: Ask) -> Reply:
        if ask.query.get("sig") != SIGNATURE:
            return _error(401, "DirectApiAuthorizationRequired")
        if not self.enabled:
            return _error(400, "WorkflowTriggerIsNotEnabled")
        now = self.clock()
        self._calls = [at for at in self._calls if at > now - 1.0]
        if len(self._calls) >= CALLS_A_SECOND:
            return json_reply({"error": {"code": "TooManyRequests"}}, 429, {"Retry-After": "1"})
        self._calls.append(now)
        # Bytes, of two for each character where that is more: its own representation counts.
        if max(len(ask.body), 2 * len(ask.body.decode())) > PAYLOAD_BYTES_MAX:
            return _error(413, "RequestEntityTooLarge")
        if not _is_message(ask):
            return _error(400, "TriggerInputSchemaMismatch")
        self.cards.append(ask.json()["attachments"][0]["content"])
        return Reply(202)


def texts_of(card: dict[str, Any]) -> list[str]:
    return [run["text"] for part in card["body"] for run in part.get("inlines", [])]


def _is_message(ask: Ask) -> bool:
    said = ask.json()
    if ask.headers.get("Content-Type", "").split(";")[0] != "application/json" or not isinstance(said, dict):
        return False
    attachments = said.get("attachments")
    if said.get("type") != "message" or not isinstance(attachments, list) or len(attachments) != 1:
        return False
    card = attachments[0].get("content", {})
    return (
        attachments[0].get("contentType") == CARD
        and card.get("type") == "AdaptiveCard"
        and card.get("version") in {"1.2", "1.3", "1.4", "1.5"}
        and bool(card.get("body"))
        and all(_is_part(part) for part in card["body"])
        and len(card.get("actions", [])) <= ACTIONS_MAX
        and all(_is_action(action) for action in card.get("actions", []))
    )


def _is_part(part: dict[str, Any]) -> bool:
    if part.get("type") not in PART_TYPES:
        return False
    runs = part.get("inlines", []) if part["type"] == "RichTextBlock" else [part]
    return bool(runs) and all(isinstance(run.get("text"), str) and run["text"] for run in runs)


def _is_action(action: dict[str, Any]) -> bool:
    url = action.get("url")
    return action.get("type") == "Action.OpenUrl" and bool(action.get("title")) and str(url).startswith("http")


def _error(status: int, code: str) -> Reply:
    return json_reply({"error": {"code": code, "message": "…"}}, status)
