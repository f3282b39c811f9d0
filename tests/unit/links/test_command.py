"""`pegel link`, as a user calls it."""

import json
import os
import signal
import subprocess
import sys
from urllib.request import HTTPRedirectHandler, Request, build_opener

import pytest

from streams.cli import ExitStatus, run
from streams.links.token import keys_of, new_key

NOBODY = "127.0.0.1:1"
TARGET = "https://app.example/a"


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEGEL_LINKS__KEYS", new_key("k1"))
    monkeypatch.setenv("PEGEL_LINKS__BASE_URL", "https://go.example")


def signed(capsys: pytest.CaptureFixture[str], *more: str) -> str:
    assert run(["link", "sign", TARGET, "--account", "acme", *more]) == ExitStatus.OK
    return capsys.readouterr().out.strip()


def test_a_key_is_one_that_the_setting_takes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["link", "key", "k2"]) == ExitStatus.OK
    assert keys_of(capsys.readouterr().out.strip()).signing == "k2"
    assert run(["link", "key", "K 2"]) == ExitStatus.USAGE


def test_what_is_signed_says_where_it_leads_and_for_whom(capsys: pytest.CaptureFixture[str]) -> None:
    link = signed(capsys, "--play", "save", "--delivery", "d")
    assert run(["link", "show", link]) == ExitStatus.OK
    row = json.loads(capsys.readouterr().out)
    assert {name: row[name] for name in ("url", "account_id", "play", "delivery_id")} == {
        "url": TARGET, "account_id": "acme", "play": "save", "delivery_id": "d",
    }  # fmt: skip
    assert run(["link", "show", link[:-1]]) == ExitStatus.FAILURE
    assert "the link is not followed: forged" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variable", "arguments", "told"),
    [
        ("PEGEL_LINKS__BASE_URL", ["sign", TARGET, "--account", "a"], "links.base_url and links.keys"),
        ("PEGEL_LINKS__KEYS", ["show", "x"], "there is no key to sign links with"),
        ("PEGEL_LINKS__KEYS", ["serve"], "there is no key to sign links with"),
        ("", ["sign", "javascript:x", "--account", "a"], "leads to http:// or https://"),
    ],
)
def test_what_is_missing_is_named(
    variable: str,
    arguments: list[str],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if variable:
        monkeypatch.delenv(variable)
    assert run(["link", *arguments]) == ExitStatus.USAGE
    assert told in " ".join(capsys.readouterr().err.split())


class Stays(HTTPRedirectHandler):
    def redirect_request(self, *_: object, **__: object) -> None:
        """Nowhere: a redirect is an answer here."""


def test_links_work_while_kafka_is_away(capsys: pytest.CaptureFixture[str]) -> None:
    link = signed(capsys)
    command = [sys.executable, "-c", "from streams.cli import main; main()", "link", "serve", "--port", "0"]
    environ = {**os.environ, "PEGEL_KAFKA__BOOTSTRAP": NOBODY}
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        request = Request(address + link.removeprefix("https://go.example/"), method="HEAD")
        with pytest.raises(OSError, match="302") as redirect:
            build_opener(Stays()).open(request, timeout=10)
        assert redirect.value.headers["Location"] == TARGET  # type: ignore[attr-defined]
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
        assert process.stderr is not None
        assert "links work and clicks wait" in process.stderr.read()
    finally:
        process.kill()
        process.wait()
