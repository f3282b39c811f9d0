"""A schema registry as its API's documentation has it, for JSON Schema: strict about what it is sent.

Compatibility is its own: by level, over all versions, for open objects. A property that comes to a schema which allows
others breaks those who wrote before (there it may have had another value), one that goes breaks those who read.
"""

import base64
import json
from dataclasses import dataclass, field
from typing import Any, Final

import jsonschema

from tests.providers.server import Ask, Refused, Reply, Route, json_reply

USER: Final = "pegel"
PASSWORD: Final = "very-secret-password"
CONTENT_TYPE: Final = "application/vnd.schemaregistry.v1+json"
LEVELS: Final = frozenset(
    {"NONE", *(f"{way}{suffix}" for way in ("BACKWARD", "FORWARD", "FULL") for suffix in ("", "_TRANSITIVE"))}
)
DRAFT_7: Final = "http://json-schema.org/draft-07/schema#"
SUBJECT_NOT_FOUND: Final = 40401
LEVEL_NOT_FOUND: Final = 40408
INVALID_SCHEMA: Final = 42201
INVALID_LEVEL: Final = 42203
INCOMPATIBLE: Final = 409


@dataclass
class Kept:
    level: str | None = None
    versions: list[dict[str, Any]] = field(default_factory=list)


class SchemaRegistry:
    def __init__(self, *, level: str = "BACKWARD", login: bool = False) -> None:
        self.level = level
        self.subjects: dict[str, Kept] = {}
        self._ids: dict[str, int] = {}
        self._login = login

    def routes(self) -> list[Route]:
        return [
            Route("latest", "GET", "/subjects/{subject}/versions/latest", self._latest),
            Route("register", "POST", "/subjects/{subject}/versions", self._register),
            Route("compatible", "POST", "/compatibility/subjects/{subject}/versions", self._compatible),
            Route("level", "GET", "/config/{subject}", self._level_of),
            Route("levels", "GET", "/config", self._own_level),
            Route("set-level", "PUT", "/config/{subject}", self._set_level),
        ]

    def put(self, subject: str, schema: dict[str, Any], level: str | None = None) -> None:
        """As somebody else did before."""
        kept = self.subjects.setdefault(subject, Kept())
        kept.level = level or kept.level
        kept.versions.append(schema)

    def _let_in(self, ask: Ask) -> None:
        expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self._login and ask.headers.get("Authorization") != f"Basic {expected}":
            raise Refused(json_reply({"error_code": 401, "message": "Unauthorized"}, 401))

    def _latest(self, ask: Ask) -> Reply:
        self._let_in(ask)
        kept = self._kept(ask)
        text = json.dumps(kept.versions[-1])
        number = len(kept.versions)
        subject = ask.params["subject"]
        return json_reply(
            {"subject": subject, "version": number, "id": self._id(text), "schemaType": "JSON", "schema": text}
        )

    def _register(self, ask: Ask) -> Reply:
        schema = self._schema(ask)
        kept = self.subjects.setdefault(ask.params["subject"], Kept())
        if schema not in kept.versions:
            if not self._may_follow(kept, schema):
                raise Refused(json_reply({"error_code": INCOMPATIBLE, "message": "incompatible with an earlier"}, 409))
            kept.versions.append(schema)
        return json_reply({"id": self._id(json.dumps(schema))})

    def _compatible(self, ask: Ask) -> Reply:
        schema = self._schema(ask)
        return json_reply({"is_compatible": self._may_follow(self._kept(ask), schema)})

    def _level_of(self, ask: Ask) -> Reply:
        self._let_in(ask)
        kept = self.subjects.get(ask.params["subject"], Kept())
        if kept.level is None:
            raise Refused(json_reply({"error_code": LEVEL_NOT_FOUND, "message": "Subject has no level"}, 404))
        return json_reply(self._as_level(kept.level))

    def _own_level(self, ask: Ask) -> Reply:
        self._let_in(ask)
        return json_reply(self._as_level(self.level))

    def _set_level(self, ask: Ask) -> Reply:
        self._let_in(ask)
        level = (ask.json() or {}).get("compatibility")
        if level not in LEVELS:
            raise Refused(json_reply({"error_code": INVALID_LEVEL, "message": "Invalid compatibility level"}, 422))
        self.subjects.setdefault(ask.params["subject"], Kept()).level = level
        return json_reply({"compatibility": level})

    @staticmethod
    def _as_level(level: str) -> dict[str, str]:
        return {"compatibilityLevel": level}

    def _kept(self, ask: Ask) -> Kept:
        kept = self.subjects.get(ask.params["subject"])
        if kept is None or not kept.versions:
            raise Refused(json_reply({"error_code": SUBJECT_NOT_FOUND, "message": "Subject not found."}, 404))
        return kept

    def _schema(self, ask: Ask) -> dict[str, Any]:
        self._let_in(ask)
        if ask.headers.get("Content-Type") != CONTENT_TYPE:
            raise Refused(json_reply({"error_code": 415, "message": "HTTP 415 Unsupported Media Type"}, 415))
        schema = _json_schema(ask.json())
        if schema is None:
            raise Refused(json_reply({"error_code": INVALID_SCHEMA, "message": "Invalid schema"}, 422))
        return schema

    def _may_follow(self, kept: Kept, schema: dict[str, Any]) -> bool:
        level = kept.level or self.level
        earlier = kept.versions if level.endswith("_TRANSITIVE") else kept.versions[-1:]
        way = level.removesuffix("_TRANSITIVE")
        return way == "NONE" or all(
            (way == "FORWARD" or _reads(schema, one)) and (way == "BACKWARD" or _reads(one, schema)) for one in earlier
        )

    def _id(self, text: str) -> int:
        return self._ids.setdefault(text, len(self._ids) + 1)


def _json_schema(body: Any) -> dict[str, Any] | None:
    if not isinstance(body, dict) or body.get("schemaType") != "JSON":
        return None
    try:
        schema: dict[str, Any] = json.loads(body["schema"])
        jsonschema.Draft7Validator.check_schema(schema)
    except (KeyError, TypeError, ValueError, jsonschema.SchemaError):
        return None
    return schema if schema.get("$schema") == DRAFT_7 else None


def _reads(reader: dict[str, Any], writer: dict[str, Any]) -> bool:
    """Whether the reader's schema takes all that the writer's allows; only what the tests change is looked at."""
    written = writer["properties"]
    return set(reader.get("required", ())) <= set(writer.get("required", ())) and all(
        name in written and written[name] == schema for name, schema in reader["properties"].items()
    )
