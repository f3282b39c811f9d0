"""Customer.io's Track API: objects, people, events that are known by their id, limits, partial batches."""

import base64
import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

from tests.providers.server import Ask, Refused, Reply, Route, json_reply

SITE_ID: Final = "site-1"
API_KEY: Final = "very-secret-token"
REQUEST_BYTES_MAX: Final = 500_000
ENTRY_BYTES_MAX: Final = 32_000
ID_CHARS_MAX: Final = 150
ULID: Final = re.compile(r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$")


@dataclass
class Seen:
    """An event that is kept."""

    id: str
    name: str
    person: dict[str, str]
    attributes: dict[str, Any] = field(default_factory=dict)
    timestamp: int | None = None


def invalid(reason: str, name: str, message: str = "") -> dict[str, Any]:
    return {"reason": reason, "field": name, "message": message}


class CustomerioApi:
    def __init__(self) -> None:
        self.keys = {(SITE_ID, API_KEY)}
        self.object_types = {"1"}
        self.objects: dict[str, dict[str, Any]] = {}
        self.events: list[Seen] = []
        self.repeats = 0
        self.bad: set[str] = set()
        """Ids of objects, or values of people, that are refused on their own."""
        self.bad_accounts: set[str] = set()
        """Accounts whose events are refused."""
        self.unnamed_errors = False
        """Errors do not say which entry they are about."""

    def routes(self) -> list[Route]:
        return [
            Route("batch", "POST", "/api/v2/batch", self._batch),
            Route("region", "GET", "/api/v1/accounts/region", self._region),
        ]

    def _authorized(self, ask: Ask) -> None:
        kind, _, text = ask.headers.get("Authorization", "").partition(" ")
        user, _, password = base64.b64decode(text).decode().partition(":") if kind == "Basic" else ("", "", "")
        if (user, password) not in self.keys:
            raise Refused(json_reply({"meta": {"error": "Unauthorized request"}}, 401))

    def _region(self, ask: Ask) -> Reply:
        self._authorized(ask)
        return json_reply({"region": "us", "data_center": "us", "environment_id": 1})

    def _batch(self, ask: Ask) -> Reply:
        self._authorized(ask)
        body = ask.json()
        entries = body.get("batch") if isinstance(body, dict) else None
        if not isinstance(entries, list) or not entries or len(ask.body) > REQUEST_BYTES_MAX:
            raise Refused(json_reply({"errors": [invalid("malformed", "batch")]}, 400))
        errors = []
        for place, entry in enumerate(entries):
            problem = self._refusal(entry)
            if problem is None:
                self._take(entry)
            else:
                errors.append(problem if self.unnamed_errors else {"batch_index": place, **problem})
        return json_reply({"errors": errors}, 207) if errors else json_reply({})

    def _refusal(self, entry: dict[str, Any]) -> dict[str, Any] | None:
        if len(json.dumps(entry, ensure_ascii=False).encode()) > ENTRY_BYTES_MAX:
            return invalid("too_large", "batch")
        who = entry.get("identifiers") or {}
        if set(map(str, who.values())) & self.bad or entry["attributes"].get("account_id") in self.bad_accounts:
            return invalid("invalid", "identifiers", "very-secret-token")
        match entry.get("type"), entry.get("action"):
            case "object", "identify":
                known = who.keys() == {"object_type_id", "object_id"} and who["object_type_id"] in self.object_types
                return None if known and 0 < len(who["object_id"]) <= ID_CHARS_MAX else invalid("invalid", "object_id")
            case "person", "event":
                if len(who) != 1 or not {"id", "email"} & who.keys():
                    return invalid("required", "identifiers")
                return None if ULID.match(entry.get("id", "")) and entry.get("name") else invalid("invalid", "id")
        return invalid("invalid", "type")

    def _take(self, entry: dict[str, Any]) -> None:
        if entry["type"] == "object":
            attributes = self.objects.setdefault(entry["identifiers"]["object_id"], {})
            attributes.update(entry["attributes"])
            return
        if any(seen.id == entry["id"] for seen in self.events):
            self.repeats += 1
            return
        self.events.append(
            Seen(entry["id"], entry["name"], entry["identifiers"], entry["attributes"], entry.get("timestamp"))
        )
