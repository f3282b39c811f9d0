"""A token endpoint on this machine, as OAuth 2.0 wants it, which can be told to fail."""

import base64
import json
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CLIENT_SECRET = "s3cr3t of the client/+%:"
ISSUE = 200


def unsigned_token(user: str, lifetime_s: float = 3_600, **more: str) -> str:
    """A token without a signature, which Kafka's validator for development takes."""
    now = time.time()
    claims: Mapping[str, object] = {"sub": user, "iat": now, "exp": now + lifetime_s, **more}
    parts = [json.dumps(one).encode() for one in ({"alg": "none"}, claims)]
    return ".".join(base64.urlsafe_b64encode(one).decode().rstrip("=") for one in parts) + "."


@dataclass
class TokenAuthority:
    """Issues a token to whoever knows `CLIENT_SECRET`. `answers`: what the next requests get instead."""

    url: str = ""
    lifetime_s: float = 3_600
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    asked: list[dict[str, list[str]]] = field(default_factory=list)

    def answer(self, form: bytes, authorization: str) -> tuple[int, bytes]:
        self.asked.append(urllib.parse.parse_qs(form.decode()))
        if self.answers:
            return self.answers.pop(0)
        pair = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        client, secret = (urllib.parse.unquote_plus(one) for one in pair.split(":"))
        if secret != CLIENT_SECRET:
            return 401, b'{"error": "invalid_client", "error_description": "you sent ' + secret.encode() + b'"}'
        token = unsigned_token(client, self.lifetime_s)
        return ISSUE, json.dumps(
            {"access_token": token, "expires_in": self.lifetime_s, "token_type": "Bearer"}
        ).encode()


@contextmanager
def token_authority(wrap: Callable[[Any], Any] = lambda socket: socket) -> Iterator[TokenAuthority]:
    """A running authority; `wrap` puts its socket behind TLS."""
    authority = TokenAuthority()

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = self.rfile.read(int(self.headers["Content-Length"]))
            status, body = authority.answer(form, self.headers["Authorization"] or "")
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", authority.url + "/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing on standard error."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        server.socket = wrap(server.socket)
        authority.url = f"http://127.0.0.1:{server.server_address[1]}/token"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield authority
        finally:
            server.shutdown()
            thread.join()
