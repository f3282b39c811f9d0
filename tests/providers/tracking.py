"""A tracking API as Segment's and RudderStack's: takes nearly everything, remembers message ids for a day."""

import base64
import json
from collections.abc import Callable
from typing import Any, Final

from tests.providers.clock import ManualClock
from tests.providers.server import Ask, Refused, Reply, Route, json_reply, text_reply

WRITE_KEY: Final = "very-secret-token"
REQUEST_BYTES_MAX: Final = 500_000
CALL_BYTES_MAX: Final = 32_000
CALLS_MAX: Final = 2_500
REMEMBERED_S: Final = 86_400.0
MESSAGE_ID_CHARS_MAX: Final = 100

Call = dict[str, Any]


class TrackingApi:
    """`rudderstack` tells what it refuses, Segment answers 200 and drops it."""

    def __init__(self, clock: Callable[[], float] | None = None, *, rudderstack: bool = False) -> None:
        self.clock = clock or ManualClock()
        self.rudderstack = rudderstack
        self.keys = {WRITE_KEY}
        self.calls: list[Call] = []
        self.dropped: list[str] = []
        """Why calls were not taken."""
        self.poisonous: set[str] = set()
        """Groups whose calls make the whole request be refused."""
        self._seen: dict[str, float] = {}

    def routes(self) -> list[Route]:
        return [Route("batch", "POST", "/v1/batch", self._batch)]

    def of(self, kind: str) -> list[Call]:
        return [call for call in self.calls if call["type"] == kind]

    def _batch(self, ask: Ask) -> Reply:
        kind, _, text = ask.headers.get("Authorization", "").partition(" ")
        key, colon, _ = base64.b64decode(text).decode().partition(":") if kind == "Basic" else ("", "", "")
        known = key in self.keys and bool(colon)
        if not known and self.rudderstack:
            raise Refused(text_reply("Invalid Write Key", 401))
        calls = (ask.json() or {}).get("batch")
        if not isinstance(calls, list) or len(ask.body) > REQUEST_BYTES_MAX:
            raise Refused(json_reply({"success": False, "message": "malformed JSON"}, 400))
        if any(call.get("context", {}).get("groupId") in self.poisonous for call in calls):
            raise Refused(json_reply({"success": False}, 400))
        for number, call in enumerate(calls):
            problem = "unknown key" if not known else "too many" if number >= CALLS_MAX else self._refusal(call)
            if problem is None:
                self._take(call)
            else:
                self.dropped.append(problem)
        return text_reply("OK") if self.rudderstack else json_reply({"success": True})

    def _refusal(self, call: Call) -> str | None:
        if len(json.dumps(call, ensure_ascii=False).encode()) > CALL_BYTES_MAX:
            return "too large"
        if not (call.get("userId") or call.get("anonymousId")):
            return "no_user_anon_id"
        if len(call.get("messageId", "")) > MESSAGE_ID_CHARS_MAX or "messageId" not in call:
            return "message id"
        needs = {"track": "event", "group": "groupId", "identify": "traits"}.get(call.get("type", ""))
        return None if needs is not None and call.get(needs) else "incomplete"

    def _take(self, call: Call) -> None:
        now_s = self.clock()
        if now_s - self._seen.get(call["messageId"], -REMEMBERED_S) >= REMEMBERED_S:
            self._seen[call["messageId"]] = now_s
            self.calls.append(call)
