"""What every connector owes that speaks HTTP, shown over real HTTP on loopback."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import cast

import pytest
from pydantic import ValidationError

from streams.connectors.contract import Connector
from streams.connectors.outcome import OutcomeKind
from tests.providers.faults import Fault, dropped, status
from tests.unit.connectors.kit import DELIVERY_ID, NOW_MS, TIMEOUT_S, HttpLaws, HttpRig, Kit, message
from tests.unit.connectors.kits import KITS

HTTP_KITS = [kit for kit in KITS if kit.http is not None]
pytestmark = pytest.mark.parametrize("kit", HTTP_KITS, ids=[kit.name for kit in HTTP_KITS])


def laws(kit: Kit) -> HttpLaws:
    assert kit.http is not None
    return kit.http


@asynccontextmanager
async def running(kit: Kit, directory: Path, timeout_s: float = 5.0) -> AsyncIterator[tuple[HttpRig, Connector]]:
    async with kit.open(directory) as rig:
        connector = kit.connector(rig.config(timeout_s))
        try:
            yield cast("HttpRig", rig), connector
        finally:
            await connector.close()


async def test_every_status_has_its_outcome(kit: Kit, tmp_path: Path) -> None:
    async with running(kit, tmp_path) as (rig, connector):
        for code in range(200, 600):
            rig.server.script(laws(kit).route, status(code, b"" if code in {204, 304} else b"some body"))
            outcome = await connector.deliver(message())
            assert outcome.kind is laws(kit).expected(code), code
            assert (outcome.kind is OutcomeKind.OK) or outcome.detail


async def test_the_delivery_id_is_the_same_on_every_attempt(kit: Kit, tmp_path: Path) -> None:
    async with running(kit, tmp_path) as (rig, connector):
        rig.server.always[laws(kit).route] = Fault(status=503)
        for attempt in (1, 2, 3):
            await connector.deliver(message(attempt))
        asked = rig.server.asked(laws(kit).route)
        assert [laws(kit).delivery_id(ask) for ask in asked] == [DELIVERY_ID] * 3
        assert len({ask.body for ask in asked}) == 1


WAITS: dict[str | None, float | None] = {
    "7": 7.0,
    "0.5": 0.5,
    "-3": 0.0,
    "999999999": 86_400.0,
    format_datetime(datetime.fromtimestamp(NOW_MS / 1_000, UTC) + timedelta(seconds=90), usegmt=True): 90.0,
    "nan": None,
    "soon": None,
    "": None,
    None: None,
}


async def test_a_429_says_how_long_to_wait_or_that_it_does_not_say(kit: Kit, tmp_path: Path) -> None:
    async with running(kit, tmp_path) as (rig, connector):
        for header, seconds in WAITS.items():
            headers = {} if header is None else {"Retry-After": header}
            rig.server.script(laws(kit).route, status(429, headers=headers))
            outcome = await connector.deliver(message())
            assert outcome.kind is OutcomeKind.THROTTLED
            expected = laws(kit).wait_unsaid_s if seconds is None else pytest.approx(seconds, abs=0.01)
            assert outcome.after_s == expected, header


async def test_a_connection_that_is_refused_was_never_sent(kit: Kit, tmp_path: Path) -> None:
    async with running(kit, tmp_path) as (rig, _):
        config = rig.config(2.0)
    connector = kit.connector(config)
    outcome = await connector.deliver(message())
    await connector.close()
    assert (outcome.kind, outcome.detail) == (OutcomeKind.RETRY_DESTINATION, "connect_failed")


async def test_a_connection_that_breaks_after_the_request_is_ambiguous(kit: Kit, tmp_path: Path) -> None:
    async with running(kit, tmp_path) as (rig, connector):
        rig.server.script(laws(kit).route, dropped(commit=False))
        outcome = await connector.deliver(message())
    assert (outcome.kind, outcome.detail) == (OutcomeKind.AMBIGUOUS, "disconnected")


async def test_a_redirect_is_not_followed(kit: Kit, tmp_path: Path) -> None:
    async with running(kit, tmp_path) as (rig, connector):
        rig.server.script(laws(kit).route, status(307, headers={"Location": rig.server.url("/elsewhere")}))
        outcome = await connector.deliver(message())
        assert outcome.kind is OutcomeKind.RETRY_DESTINATION
        assert rig.server.asked("nowhere") == []


async def test_an_endless_answer_is_not_read_to_its_end(kit: Kit, tmp_path: Path) -> None:
    async with running(kit, tmp_path) as (rig, connector):
        rig.server.script(laws(kit).route, Fault(status=200, endless=True))
        await connector.deliver(message())
        assert rig.server.sent_bytes < 16 << 20


async def test_connections_are_used_again_only_where_a_repeat_does_no_harm(kit: Kit, tmp_path: Path) -> None:
    async with running(kit, tmp_path) as (rig, connector):
        for _ in range(3):
            await connector.deliver(message())
            rig.recover()
        peers = {ask.peer for ask in rig.server.asked(laws(kit).route)}
        assert len(peers) == (1 if laws(kit).keeps_connections else 3)
        assert kit.type.deduplicates or not laws(kit).keeps_connections


async def test_an_address_inside_is_refused_unless_it_is_allowed(kit: Kit, tmp_path: Path) -> None:
    async with running(kit, tmp_path) as (rig, _):
        route, path = laws(kit).route, laws(kit).path
        allowed = kit.connector(rig.config_at(rig.server.url(path, "localhost")))
        assert (await allowed.deliver(message())).kind is OutcomeKind.OK
        await allowed.close()
        asked = len(rig.server.asked(route))
        # Over https nothing is allowed inside without being named; the name is resolved and judged at connect time.
        url = rig.server.url(path, "localhost").replace("http://", "https://")
        strict = kit.connector(rig.config_at(url, allow_http=False))
        outcome = await strict.deliver(message())
        await strict.close()
        assert (outcome.kind, outcome.detail) == (OutcomeKind.RETRY_DESTINATION, "address_refused")
        assert len(rig.server.asked(route)) == asked


BAD_URLS = (
    "http://example.com/very-secret-token",
    "https://127.0.0.1/very-secret-token",
    "https://10.0.0.1/very-secret-token",
    "https://169.254.169.254/very-secret-token",
    "https://[::1]/very-secret-token",
    "https://[::ffff:10.0.0.1]/very-secret-token",
    "https://user:very-secret-token@example.com/",
    "ftp://example.com/very-secret-token",
    "https:///very-secret-token",
    "https://example.com/very-secret-token" + "x" * 3_000,
    "https://example.com/very-secret-token\n",
    "very-secret-token",
    "",
)


async def test_a_bad_url_is_refused_without_repeating_it(kit: Kit, tmp_path: Path) -> None:
    async with running(kit, tmp_path) as (rig, _):
        rig.config_at("https://example.com/", allow_http=False)
        for url in BAD_URLS:
            with pytest.raises(ValidationError) as caught:
                rig.config_at(url, allow_http=False)
            assert "very-secret-token" not in str(caught.value)


async def test_a_secret_that_the_provider_repeats_is_not_shown(
    kit: Kit, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    echo = "; ".join(kit.secrets).encode()
    async with running(kit, tmp_path, TIMEOUT_S) as (rig, connector):
        shown = []
        for code in (200, 400, 403, 500):
            rig.server.script(laws(kit).route, status(code, echo))
            shown.append(repr(await connector.deliver(message())))
    assert not [secret for secret in kit.secrets if secret in "\n".join(shown) + caplog.text]


async def test_a_trace_leaves_the_house_to_a_receiver_of_our_own_alone(kit: Kit, tmp_path: Path) -> None:
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    async with running(kit, tmp_path) as (rig, connector):
        await connector.deliver(message(traceparent=traceparent))
        await connector.deliver(message(2))
        sent = [ask.headers.get("traceparent") for ask in rig.server.seen]
        whole = [str(ask.body) + ask.raw_path + str(ask.headers) for ask in rig.server.seen]
    if kit.name == "webhook":
        assert sent == [traceparent, None]
    else:
        assert not [one for one in whole if "4bf92f3577b3" in one]
