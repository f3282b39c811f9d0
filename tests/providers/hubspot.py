"""HubSpot: companies with a unique index, properties that must exist, tasks, and its rate limits."""

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.providers.clock import ManualClock
from tests.providers.server import Ask, Refused, Reply, Route, json_reply

TOKEN: Final = "pat-eu1-very-secret-token"
BATCH_MAX: Final = 100
WINDOW_S: Final = 10.0
TASK_TO_COMPANY: Final = 192
BODY_CHARS_MAX: Final = 65_536
LISTED_MAX: Final = 500


@dataclass
class Property:
    unique: bool = False
    type: str = "string"
    options: tuple[str, ...] = ()


@dataclass
class Thing:
    """A company or a task."""

    id: str
    properties: dict[str, str] = field(default_factory=dict)
    companies: list[str] = field(default_factory=list)


def error(status: int, category: str, message: str = "", **more: Any) -> Refused:
    body = {"status": "error", "message": message, "correlationId": "c-1", "category": category, **more}
    return Refused(json_reply(body, status))


class HubspotApi:
    """`version` is what stands in the paths; v3 has other ones."""

    def __init__(self, clock: Callable[[], float] | None = None, *, version: str = "2026-03") -> None:
        self.clock = clock or ManualClock()
        self.version = version
        self.tokens = {TOKEN}
        self.scopes = {"crm.objects.companies.write", "crm.schemas.companies.write"}
        self.properties: dict[str, Property] = {
            "name": Property(), "domain": Property(), "pegel_account_id": Property(unique=True),
            "pegel_segment": Property(), "pegel_since": Property(type="datetime"),
        }  # fmt: skip
        self.companies: dict[str, Thing] = {}
        self.tasks: dict[str, Thing] = {}
        self.requests_max = 1_000_000
        """Within ten seconds."""
        self.daily_max = 1_000_000
        self.ignored: set[str] = set()
        """Values of the unique property whose writes HubSpot says nothing about and does not make."""
        self.contested: dict[str, tuple[str, str]] = {}
        """Those that fail on their own, with category and message."""
        self.unnamed_errors = False
        """Errors of a partial batch do not say which input they are about."""
        self.echoes_traces = True
        self._recent: deque[float] = deque()
        self._today = 0
        self._next_id = 1_000

    def routes(self) -> list[Route]:
        dated = self.version != "v3"
        objects = f"/crm/objects/{self.version}" if dated else "/crm/v3/objects"
        properties = f"/crm/properties/{self.version}/companies" if dated else "/crm/v3/properties/companies"
        linked = objects if dated else "/crm/v4/objects"
        return [
            Route("companies.upsert", "POST", f"{objects}/companies/batch/upsert", self._guarded(self._upsert)),
            Route("properties.read", "GET", f"{properties}/{{name}}", self._guarded(self._property)),
            Route("properties.create", "POST", properties, self._guarded(self._new_property)),
            Route("tasks.create", "POST", f"{objects}/tasks", self._guarded(self._new_task)),
            Route("tasks.read", "POST", f"{objects}/tasks/batch/read", self._guarded(self._read_tasks)),
            Route("tasks.of", "GET", f"{linked}/companies/{{id}}/associations/tasks", self._guarded(self._tasks_of)),
        ]

    def company(self, account: str, by: str = "pegel_account_id") -> dict[str, str] | None:
        return next((each.properties for each in self.companies.values() if each.properties.get(by) == account), None)

    def subjects(self) -> list[str]:
        return [task.properties["hs_task_subject"] for task in self.tasks.values()]

    # -- what every request goes through ------------------------------------------------------------------------------

    def _guarded(self, answer: Callable[[Ask], Reply]) -> Callable[[Ask], Reply]:
        def guarded(ask: Ask) -> Reply:
            if ask.bearer not in self.tokens:
                raise error(401, "INVALID_AUTHENTICATION", "Authentication credentials not found.")
            headers = self._counted()
            reply = answer(ask)
            return Reply(reply.status, reply.body, {**reply.headers, **headers})

        return guarded

    def _counted(self) -> dict[str, str]:
        now_s = self.clock()
        while self._recent and self._recent[0] <= now_s - WINDOW_S:
            self._recent.popleft()
        if self._today >= self.daily_max:
            raise error(429, "RATE_LIMITS", "You have reached your daily limit.",
                        errorType="RATE_LIMIT", policyName="DAILY")  # fmt: skip
        if len(self._recent) >= self.requests_max:
            raise error(429, "RATE_LIMITS", "You have reached your ten_secondly_rolling limit.",
                        errorType="RATE_LIMIT", policyName="TEN_SECONDLY_ROLLING")  # fmt: skip
        self._recent.append(now_s)
        self._today += 1
        return {
            "X-HubSpot-RateLimit-Max": str(self.requests_max),
            "X-HubSpot-RateLimit-Remaining": str(self.requests_max - len(self._recent)),
            "X-HubSpot-RateLimit-Interval-Milliseconds": "10000",
            "X-HubSpot-RateLimit-Daily": str(self.daily_max),
            "X-HubSpot-RateLimit-Daily-Remaining": str(self.daily_max - self._today),
        }

    def _id(self) -> str:
        self._next_id += 1
        return str(self._next_id)

    # -- companies ----------------------------------------------------------------------------------------------------

    def _upsert(self, ask: Ask) -> Reply:
        inputs = (ask.json() or {}).get("inputs")
        if not isinstance(inputs, list) or not inputs:
            raise error(400, "VALIDATION_ERROR", "Invalid input JSON")
        if len(inputs) > BATCH_MAX:
            raise error(400, "VALIDATION_ERROR", f"The number of inputs must not be greater than {BATCH_MAX}")
        for one in inputs:
            self._check(one)
        if len({(one["idProperty"], one["id"]) for one in inputs}) < len(inputs):
            raise error(400, "VALIDATION_ERROR", "Duplicate IDs found in batch input")
        results, errors = [], []
        for one in inputs:
            if one["id"] in self.contested:
                errors.append(self._error_of(one))
            elif one["id"] not in self.ignored:
                results.append(self._written(one))
        done = {"status": "COMPLETE", "results": results, "startedAt": "x", "completedAt": "x"}
        if not errors:
            return json_reply(done)
        return json_reply({**done, "numErrors": len(errors), "errors": errors}, 207)

    def _check(self, one: Any) -> None:
        known = self.properties.get(one.get("idProperty", ""))
        if known is None:
            raise self._no_property(str(one.get("idProperty")))
        if not known.unique:
            raise error(400, "VALIDATION_ERROR",
                        f"Unable to perform update/upsert by non-unique 0-2 property {one['idProperty']}")  # fmt: skip
        for name, value in one["properties"].items():
            self._check_value(name, value)

    def _check_value(self, name: str, value: Any) -> None:
        known = self.properties.get(name)
        if known is None:
            raise self._no_property(name)
        if not isinstance(value, str):
            raise error(400, "VALIDATION_ERROR", "Invalid input JSON: a property is a string")
        if value and known.type == "number" and not value.replace(".", "", 1).lstrip("-").isdigit():
            raise self._invalid(name, "INVALID_INTEGER", f"{value} was not a valid number")
        if value and known.options and value not in known.options:
            raise self._invalid(name, "INVALID_OPTION", f"{value} was not one of the allowed options")

    def _no_property(self, name: str) -> Refused:
        return self._invalid(name, "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist')

    def _invalid(self, name: str, code: str, message: str) -> Refused:
        inner = json.dumps([{"isValid": False, "message": message, "error": code, "name": name}])
        return error(400, "VALIDATION_ERROR", f"Property values were not valid: {inner}")

    def _error_of(self, one: Mapping[str, Any]) -> dict[str, Any]:
        category, message = self.contested[one["id"]]
        context = {} if self.unnamed_errors else {"objectWriteTraceId": [one["objectWriteTraceId"]]}
        return {"status": "error", "category": category, "message": message, "context": context}

    def _written(self, one: Mapping[str, Any]) -> dict[str, Any]:
        by, value = one["idProperty"], one["id"]
        found = next((each for each in self.companies.values() if each.properties.get(by) == value), None)
        if found is None:
            found = Thing(self._id(), {by: value})
            self.companies[found.id] = found
        found.properties.update(one["properties"])
        trace = {"objectWriteTraceId": one["objectWriteTraceId"]} if self.echoes_traces else {}
        return {"id": found.id, "properties": dict(found.properties), "new": False, "archived": False, **trace}

    # -- properties ---------------------------------------------------------------------------------------------------

    def _property(self, ask: Ask) -> Reply:
        known = self.properties.get(ask.params["name"])
        if known is None:
            raise error(404, "OBJECT_NOT_FOUND", "no property")
        return json_reply({"name": ask.params["name"], "type": known.type, "hasUniqueValue": known.unique})

    def _new_property(self, ask: Ask) -> Reply:
        if "crm.schemas.companies.write" not in self.scopes:
            raise error(403, "MISSING_SCOPES", "This app hasn't been granted all required scopes")
        body = ask.json() or {}
        if not {"name", "label", "groupName", "type", "fieldType"} <= body.keys():
            raise error(400, "VALIDATION_ERROR", "some required fields were not set")
        if body["type"] == "bool" and {each["value"] for each in body.get("options", [])} != {"true", "false"}:
            raise error(400, "VALIDATION_ERROR", "boolean properties need the options true and false")
        if body["name"] in self.properties:
            raise error(409, "OBJECT_ALREADY_EXISTS", "exists")
        options = ("true", "false") if body["type"] == "bool" else ()
        self.properties[body["name"]] = Property(bool(body.get("hasUniqueValue")), body["type"], options)
        return json_reply(body, 201)

    # -- tasks --------------------------------------------------------------------------------------------------------

    def _new_task(self, ask: Ask) -> Reply:
        body = ask.json() or {}
        properties = body.get("properties", {})
        if not properties.get("hs_timestamp"):
            raise error(400, "VALIDATION_ERROR", "hs_timestamp is required")
        if len(properties.get("hs_task_body", "")) > BODY_CHARS_MAX:
            raise self._invalid("hs_task_body", "VALUE_TOO_LONG", "too long")
        companies = [self._association(each) for each in body.get("associations", [])]
        task = Thing(self._id(), properties, companies)
        self.tasks[task.id] = task
        return json_reply({"id": task.id, "properties": properties}, 201)

    def _association(self, one: Mapping[str, Any]) -> str:
        kinds = [(each["associationCategory"], each["associationTypeId"]) for each in one["types"]]
        if kinds != [("HUBSPOT_DEFINED", TASK_TO_COMPANY)] or one["to"]["id"] not in self.companies:
            raise error(400, "VALIDATION_ERROR", "invalid association")
        return str(one["to"]["id"])

    def _tasks_of(self, ask: Ask) -> Reply:
        if ask.params["id"] not in self.companies:
            raise error(404, "OBJECT_NOT_FOUND", "no company")
        found = [task.id for task in self.tasks.values() if ask.params["id"] in task.companies]
        kind = {"category": "HUBSPOT_DEFINED", "typeId": 191, "label": None}
        start, limit = int(ask.query.get("after", 0)), min(int(ask.query.get("limit", 500)), LISTED_MAX)
        page = [{"toObjectId": int(each), "associationTypes": [kind]} for each in found[start : start + limit]]
        more = {"paging": {"next": {"after": str(start + limit), "link": "x"}}} if start + limit < len(found) else {}
        return json_reply({"results": page, **more})

    def _read_tasks(self, ask: Ask) -> Reply:
        body = ask.json() or {}
        if len(body.get("inputs", [])) > BATCH_MAX:
            raise error(400, "VALIDATION_ERROR", "too many inputs")
        found = [self.tasks[each["id"]] for each in body["inputs"] if each["id"] in self.tasks]
        results = [
            {"id": each.id, "properties": {name: each.properties.get(name) for name in body["properties"]}}
            for each in found
        ]
        return json_reply({"status": "COMPLETE", "results": results})
