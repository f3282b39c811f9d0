"""A receiver of Standard Webhooks: verifies with the specification's own library, and remembers ids."""

from datetime import UTC, datetime
from typing import Final

from standardwebhooks import Webhook, WebhookVerificationError

from tests.providers.clock import ManualClock
from tests.providers.server import Ask, Reply, Route, json_reply

SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PATH: Final = "/hooks/very-secret-token"
TOLERANCE_S: Final = 300.0


class WebhookReceiver:
    def __init__(self, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock()
        self.received: dict[str, bytes] = {}
        """By id: a repeat is taken, and changes nothing."""
        self._webhook = Webhook(SECRET)

    def routes(self) -> list[Route]:
        return [Route("hook", "POST", PATH, self._take)]

    def _take(self, ask: Ask) -> Reply:
        headers = {name.lower(): value for name, value in ask.headers.items()}
        try:
            sent_at = float(headers["webhook-timestamp"])
            if abs(self.clock() - sent_at) > TOLERANCE_S:
                return json_reply({"error": "too old"}, 400)
            self._verify(ask.body, headers)
        except (KeyError, ValueError, WebhookVerificationError):
            return json_reply({"error": "not signed"}, 401)
        if ask.headers.get("Content-Type") != "application/json":
            return json_reply({"error": "no JSON"}, 415)
        self.received.setdefault(headers["webhook-id"], ask.body)
        return Reply(204)

    def _verify(self, body: bytes, headers: dict[str, str]) -> None:
        """By the library's own signature: its `verify` would compare with the wall clock instead of the receiver's."""
        signed_at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
        expected = self._webhook.sign(headers["webhook-id"], signed_at, body.decode())
        if expected not in headers["webhook-signature"].split(" "):
            raise WebhookVerificationError("no matching signature")
