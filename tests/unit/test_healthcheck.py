"""Laws of the container's health check."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from streams import healthcheck


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response({"/readyz": 200, "/elsewhere": 302}.get(self.path, 503))
        self.end_headers()
        self.wfile.write(b"said of " + self.path.encode() + b" " * 10_000)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_a_worker_that_is_ready_is_well_and_what_it_says_is_shown(
    port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PEGEL_WEB__PORT", str(port))

    assert healthcheck.main([]) == 0
    assert capsys.readouterr().out == "200 said of /readyz\n"


@pytest.mark.parametrize("path", ["/livez", "/elsewhere"])
def test_whatever_is_not_200_is_not_well(port: int, path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert healthcheck.main([f"http://127.0.0.1:{port}{path}"]) == 1
    assert f"said of {path}" in capsys.readouterr().out


def test_who_does_not_answer_is_not_well(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEGEL_WEB__PORT", "1")  # nobody listens there

    assert healthcheck.main([]) == 1
    assert "http://127.0.0.1:1/readyz: " in capsys.readouterr().out


def test_a_check_imports_nothing_that_is_slow() -> None:
    code = "import sys, streams.healthcheck; print(*sorted(name for name in sys.modules if name.startswith('streams')))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.split() == ["streams", "streams.healthcheck"]
