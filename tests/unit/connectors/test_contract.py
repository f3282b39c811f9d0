"""What every connector owes, shown over real HTTP on loopback."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from pydantic import SecretStr, ValidationError

from streams.connectors.outcome import Outcome, OutcomeKind
from tests.unit.connectors.contract import KITS, Kit, message
from tests.unit.connectors.provider import Said, provider

pytestmark = pytest.mark.parametrize("kit", KITS, ids=[kit.name for kit in KITS])


async def outcome_of(kit: Kit, said: Said, timeout_s: float = 5.0) -> Outcome:
    async with provider() as one:
        one.says = said
        connector = kit.connector(kit.config(one.url(), timeout_s))
        try:
            return await connector.deliver(message())
        finally:
            await connector.close()


async def test_every_status_has_its_outcome(kit: Kit) -> None:
    async with provider() as one:
        connector = kit.connector(kit.config(one.url(), 5.0))
        for status in range(200, 600):
            one.says = Said(status, b"" if status in {204, 304} else b"some body")
            outcome = await connector.deliver(message())
            assert outcome.kind is kit.expected(status), status
            assert (outcome.kind is OutcomeKind.OK) or outcome.detail == str(status)
        await connector.close()


async def test_the_delivery_id_is_the_same_on_every_attempt(kit: Kit) -> None:
    async with provider() as one:
        connector = kit.connector(kit.config(one.url(), 5.0))
        for attempt in (1, 2, 3):
            one.says = Said(503)
            await connector.deliver(message(attempt))
        await connector.close()
        assert [kit.delivery_id(seen) for seen in one.seen] == ["8f1c7a0c-1f7f-5c39-9f35-0c8fd0c40d7e"] * 3
        assert len({seen.body for seen in one.seen}) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("999999999", 86_400.0),
        (format_datetime(datetime.fromtimestamp(1_772_368_498, UTC) + timedelta(seconds=90), usegmt=True), 90.0),
        ("nan", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
async def test_a_429_says_how_long_to_wait_or_that_it_does_not_say(
    kit: Kit, header: str | None, seconds: float | None
) -> None:
    outcome = await outcome_of(kit, Said(429, headers={} if header is None else {"Retry-After": header}))
    assert outcome.kind is OutcomeKind.THROTTLED
    assert outcome.after_s is None if seconds is None else outcome.after_s == pytest.approx(seconds, abs=0.01)


async def test_a_connection_that_is_refused_was_never_sent(kit: Kit) -> None:
    async with provider() as one:
        url = one.url()
    connector = kit.connector(kit.config(url, 2.0))
    outcome = await connector.deliver(message())
    await connector.close()
    assert (outcome.kind, outcome.detail) == (OutcomeKind.RETRY_DESTINATION, "connect_failed")


async def test_a_connection_that_breaks_after_the_request_is_ambiguous(kit: Kit) -> None:
    outcome = await outcome_of(kit, Said(drop=True))
    assert (outcome.kind, outcome.detail) == (OutcomeKind.AMBIGUOUS, "disconnected")


async def test_no_answer_in_time_is_ambiguous(kit: Kit) -> None:
    outcome = await outcome_of(kit, Said(delay_s=1.0), timeout_s=0.2)
    assert (outcome.kind, outcome.detail) == (OutcomeKind.AMBIGUOUS, "timed_out")


async def test_a_redirect_is_not_followed(kit: Kit) -> None:
    async with provider() as one:
        one.says = Said(307, headers={"Location": one.url(path="/elsewhere")})
        connector = kit.connector(kit.config(one.url(), 5.0))
        outcome = await connector.deliver(message())
        await connector.close()
        assert outcome.kind is OutcomeKind.RETRY_DESTINATION
        assert [seen.path for seen in one.seen] == ["/services/T0/B0/very-secret-token"]


async def test_an_endless_answer_is_not_read_to_its_end(kit: Kit) -> None:
    async with provider() as one:
        one.says = Said(endless=True)
        connector = kit.connector(kit.config(one.url(), 5.0))
        assert (await connector.deliver(message())).kind is OutcomeKind.OK
        await connector.close()
        assert one.sent_bytes < 16 << 20


async def test_connections_are_used_again_only_where_a_repeat_does_no_harm(kit: Kit) -> None:
    async with provider() as one:
        connector = kit.connector(kit.config(one.url(), 5.0))
        for _ in range(3):
            await connector.deliver(message())
        await connector.close()
        assert len({seen.peer for seen in one.seen}) == (1 if kit.keeps_connections else 3)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_an_address_inside_is_refused_unless_it_is_allowed(kit: Kit, host: str) -> None:
    async with provider() as one:
        allowed = kit.config(one.url(host), 5.0)
        assert (await _delivered(kit, allowed)).kind is OutcomeKind.OK
        assert len(one.seen) == 1
        # Over https nothing is allowed inside without being named; the name is resolved and judged at connect time.
        if host == "localhost":
            strict = allowed.model_copy(update={"allow_http": False, "url": _https(one.url(host))})
            outcome = await _delivered(kit, strict)
            assert (outcome.kind, outcome.detail) == (OutcomeKind.RETRY_DESTINATION, "address_refused")
            assert len(one.seen) == 1


@pytest.mark.parametrize(
    "url",
    [
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
    ],
)
async def test_a_bad_url_is_refused_without_repeating_it(kit: Kit, url: str) -> None:
    good = json.loads(kit.config("http://127.0.0.1:1/", 5.0).model_dump_json()) | {"allow_http": False}
    good |= {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"} if kit.name == "webhook" else {}
    kind = type(kit.config("http://127.0.0.1:1/", 5.0))
    kind.model_validate(good | {"url": "https://example.com/"})
    with pytest.raises(ValidationError) as caught:
        kind.model_validate(good | {"url": url})
    assert "very-secret-token" not in str(caught.value)


async def test_no_secret_is_shown_anywhere(kit: Kit, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    shown: list[str] = []
    async with provider() as one:
        config = kit.config(one.url(), 0.3)
        connector = kit.connector(config)
        echo = ("; ".join(kit.secrets)).encode()
        for said in (Said(400, echo), Said(200, echo), Said(403, echo), Said(drop=True), Said(delay_s=1.0)):
            one.says = said
            shown.append(repr(await connector.deliver(message())))
        shown += [repr(config), str(config), repr(connector), str(vars(connector)), config.model_dump_json()]
        await connector.close()
    text = "\n".join(shown) + caplog.text
    assert not [secret for secret in kit.secrets if secret in text]


async def _delivered(kit: Kit, config: object) -> Outcome:
    connector = kit.connector(config)  # type: ignore[arg-type]
    try:
        return await connector.deliver(message())
    finally:
        await connector.close()


def _https(url: str) -> object:
    return SecretStr(url.replace("http://", "https://"))
