"""Salesforce: sessions that end, external ids, collections of 200 whose records stand or fall alone, tasks."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs

from tests.providers.server import Ask, Refused, Reply, Route, json_reply

CLIENT_ID: Final = "3MVG9-consumer-key"
CLIENT_SECRET: Final = "very-secret-token"
VERSION: Final = "v62.0"
COLLECTION_MAX: Final = 200
TEXT_CHARS_MAX: Final = 255

Fields = dict[str, Any]


@dataclass
class Kind:
    """An object: its fields, which of them are external ids, and its records by their ids."""

    fields: set[str]
    external_ids: set[str]
    required: set[str] = field(default_factory=set)
    records: dict[str, Fields] = field(default_factory=dict)

    def ids_of(self, name: str, value: str) -> list[str]:
        return [found for found, fields in self.records.items() if fields.get(name) == value]


def refused(status: int, code: str, message: str = "", headers: dict[str, str] | None = None) -> Refused:
    return Refused(json_reply([{"errorCode": code, "message": message}], status, headers))


def result_error(code: str, message: str = "", fields: tuple[str, ...] = ()) -> Fields:
    return {"success": False, "errors": [{"statusCode": code, "message": message, "fields": list(fields)}]}


class SalesforceApi:
    def __init__(self) -> None:
        self.kinds = {
            "Account": Kind({"Name", "Pegel_Account_Id__c", "Pegel_Segment__c", "Pegel_At_Risk__c"},
                            {"Pegel_Account_Id__c"}, {"Name"}),
            "Task": Kind({"Subject", "Description", "ActivityDate", "Priority", "Status", "OwnerId", "WhatId",
                          "Pegel_Delivery_Id__c"}, {"Pegel_Delivery_Id__c"}),
        }  # fmt: skip
        self.token: str | None = None
        self.granted = 0
        self.locked: set[str] = set()
        """External ids whose rows somebody else holds."""
        self.duplicates: set[str] = set()
        """Those that a duplicate rule refuses."""
        self.knows_everybody = False
        """Whoever is asked for has an account."""
        self.usage = (18, 15_000)
        self._numbers = itertools.count(1)

    def routes(self) -> list[Route]:
        root = f"/services/data/{VERSION}"
        one = f"{root}/sobjects/{{kind}}/{{field}}/{{value:[^/]+}}"
        return [
            Route("token", "POST", "/services/oauth2/token", self._grant),
            Route("collection", "PATCH", f"{root}/composite/sobjects/{{kind}}/{{field}}", self._guarded(self._many)),
            Route("upsert", "PATCH", one, self._guarded(self._one)),
            Route("read", "GET", one, self._guarded(self._read)),
        ]

    def expire(self) -> None:
        """All sessions end."""
        self.token = None

    def add(self, account: str, name: str = "A company") -> str:
        return self._insert(self.kinds["Account"], {"Name": name, "Pegel_Account_Id__c": account})

    def account(self, account: str) -> Fields | None:
        kind = self.kinds["Account"]
        return next((kind.records[each] for each in kind.ids_of("Pegel_Account_Id__c", account)), None)

    @property
    def tasks(self) -> list[Fields]:
        return list(self.kinds["Task"].records.values())

    def _grant(self, ask: Ask) -> Reply:
        form = {name: values[0] for name, values in parse_qs(ask.body.decode()).items()}
        if form.get("grant_type") != "client_credentials":
            return json_reply({"error": "unsupported_grant_type", "error_description": "grant type not supported"}, 400)
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return json_reply({"error": "invalid_client", "error_description": "invalid client credentials"}, 400)
        self.granted += 1
        self.token = f"00D!very-secret-token-{self.granted}"
        return json_reply(
            {"access_token": self.token, "instance_url": "https://elsewhere.invalid", "token_type": "Bearer"}
        )

    def _guarded(self, answer: Callable[[Ask, Kind], Reply]) -> Callable[[Ask], Reply]:
        def guarded(ask: Ask) -> Reply:
            if self.token is None or ask.bearer != self.token:
                raise refused(401, "INVALID_SESSION_ID", "Session expired or invalid")
            used, allowed = self.usage
            headers = {"Sforce-Limit-Info": f"api-usage={used}/{allowed}"}
            if used >= allowed:
                raise refused(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", headers)
            self.usage = (used + 1, allowed)
            kind = self.kinds.get(ask.params["kind"])
            if kind is None:
                raise refused(404, "NOT_FOUND", "The requested resource does not exist kind")
            if ask.params["field"] not in kind.external_ids:
                raise refused(404, "NOT_FOUND", f"Provided external ID field does not exist: {ask.params['field']}")
            reply = answer(ask, kind)
            return Reply(reply.status, reply.body, {**reply.headers, **headers})

        return guarded

    def _many(self, ask: Ask, kind: Kind) -> Reply:
        body = ask.json()
        records = body.get("records") if isinstance(body, dict) else None
        if not isinstance(records, list) or any("attributes" not in each for each in records):
            raise refused(400, "JSON_PARSER_ERROR", "records")
        if len(records) > COLLECTION_MAX:
            raise refused(400, "EXCEEDED_ID_LIMIT", f"record limit reached. cannot submit more than {COLLECTION_MAX}")
        name, seen, results = ask.params["field"], set(), []
        for record in records:
            value = record.get(name)
            twice = value in seen
            seen.add(value)
            fields = {key: each for key, each in record.items() if key not in {"attributes", name}}
            outcome = result_error("DUPLICATE_VALUE", "twice") if twice else self._upserted(kind, name, value, fields)
            results.append(outcome)
        return json_reply(results)

    def _one(self, ask: Ask, kind: Kind) -> Reply:
        name, value = ask.params["field"], ask.params["value"]
        found = kind.ids_of(name, value)
        if len(found) > 1:
            return json_reply([f"/sobjects/{each}" for each in found], 300)
        body = ask.json()
        if not isinstance(body, dict) or name in body:
            raise refused(400, "INVALID_FIELD", "The external id stands in the path")
        outcome = self._upserted(kind, name, value, body)
        if not outcome["success"]:
            [error] = outcome["errors"]
            raise refused(400, error["statusCode"], error["message"])
        return json_reply(outcome, 201 if outcome["created"] else 200)

    def _read(self, ask: Ask, kind: Kind) -> Reply:
        found = kind.ids_of(ask.params["field"], ask.params["value"])
        if not found and self.knows_everybody:
            found = [self.add(ask.params["value"])]
        if not found:
            raise refused(404, "NOT_FOUND", "The requested resource does not exist")
        if len(found) > 1:
            return json_reply([f"/sobjects/{each}" for each in found], 300)
        return json_reply({"attributes": {"type": ask.params["kind"]}, "Id": found[0]})

    def _upserted(self, kind: Kind, name: str, value: str, fields: Fields) -> Fields:
        unknown = sorted(fields.keys() - kind.fields)
        if unknown:
            return result_error("INVALID_FIELD", f"No such column '{unknown[0]}' on sobject", (unknown[0],))
        if value in self.locked:
            return result_error("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record")
        if value in self.duplicates:
            return result_error("DUPLICATES_DETECTED", "Use one of these records?")
        long = [key for key, each in fields.items()
                if isinstance(each, str) and key != "Description" and len(each) > TEXT_CHARS_MAX]  # fmt: skip
        if long:
            return result_error("STRING_TOO_LONG", "data value too large", (long[0],))
        found = kind.ids_of(name, value)
        if len(found) > 1:
            return result_error("DUPLICATE_EXTERNAL_ID", f"{name}: more than one record found for external id field")
        if not found and kind.required - fields.keys():
            return result_error("REQUIRED_FIELD_MISSING", "Required fields are missing: [Name]", ("Name",))
        if found:
            kind.records[found[0]].update(fields)
            return {"id": found[0], "success": True, "created": False, "errors": []}
        made = self._insert(kind, {name: value, **fields})
        return {"id": made, "success": True, "created": True, "errors": []}

    def _insert(self, kind: Kind, fields: Fields) -> str:
        made = f"001{next(self._numbers):012d}AAA"
        kind.records[made] = fields
        return made
