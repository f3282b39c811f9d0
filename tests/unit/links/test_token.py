"""Signed links: only what we wrote is followed, until it expires."""

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.event import read_event
from streams.links.click import event_of, message_id
from streams.links.signing import Addressee, Signer
from streams.links.token import (
    KEY_IDS_MAX,
    TOKEN_CHARS_MAX,
    Keys,
    Link,
    LinkError,
    Refusal,
    keys_of,
    new_key,
    require_target,
    sign,
    verify,
)

OLD, NEW = new_key("k1"), new_key("k2")
KEYS = keys_of(f"{NEW},{OLD}")
NOW_S = 1_772_323_200
LINK = Link(
    "8f1c7a0c-1f7f-5c39-9f35-0c8fd0c40d7e", "save", "acme", "https://app.example/accounts/acme?x=1#y", NOW_S + 60
)
TOKEN = sign(LINK, KEYS)


def test_what_was_signed_is_what_is_followed() -> None:
    assert verify(TOKEN, KEYS, NOW_S) == LINK


def test_the_proof_is_hmac_sha256_of_key_id_and_content() -> None:
    unsigned, _, proof = TOKEN.rpartition(".")
    secret = KEYS.secrets["k2"]
    expected = hmac.new(secret, b"pegel-link-v1\0" + unsigned.encode(), sha256).digest()
    assert proof == urlsafe_b64encode(expected).decode().rstrip("=")


@given(st.integers(0, len(TOKEN) - 1), st.characters(codec="ascii"))
def test_a_token_that_differs_in_any_character_is_refused(place: int, other: str) -> None:
    changed = TOKEN[:place] + other + TOKEN[place + 1 :]
    assert changed == TOKEN or isinstance(verify(changed, KEYS, NOW_S), Refusal)


@given(st.text(max_size=200) | st.text("abk12._-", max_size=60))
def test_nothing_that_we_did_not_write_is_followed(text: str) -> None:
    assert isinstance(verify(text, KEYS, NOW_S), Refusal)


def test_a_link_expires_at_its_moment_and_not_before() -> None:
    assert verify(TOKEN, KEYS, LINK.expires_at_s - 0.001) == LINK
    assert verify(TOKEN, KEYS, LINK.expires_at_s) is Refusal.EXPIRED


def test_an_expired_forgery_is_a_forgery() -> None:
    assert verify(TOKEN[:-4] + "AAAA", KEYS, LINK.expires_at_s + 1) is Refusal.FORGED


def test_keys_rotate_the_first_signs_all_verify_and_one_that_is_gone_verifies_no_more() -> None:
    before = sign(LINK, keys_of(OLD))
    assert verify(before, KEYS, NOW_S) == LINK
    assert TOKEN.startswith("k2.")
    assert verify(before, keys_of(NEW), NOW_S) is Refusal.UNKNOWN_KEY


def test_a_key_of_the_same_name_and_another_secret_proves_nothing() -> None:
    assert verify(TOKEN, keys_of(new_key("k2")), NOW_S) is Refusal.FORGED


@pytest.mark.parametrize(
    "text",
    ["", "k1", "k1:", "K1:" + OLD.partition(":")[2], "k1:c2hvcnQ", f"{OLD},{OLD}", OLD + ",", "k1:" + "!" * 60,
     ",".join(new_key(f"k{n}") for n in range(KEY_IDS_MAX + 1))],
    ids=["nothing", "no secret", "an empty secret", "a bad id", "a short secret", "an id twice", "an empty key",
         "no base64", "too many"],
)  # fmt: skip
def test_keys_that_cannot_be_used_are_refused_without_their_secret(text: str) -> None:
    with pytest.raises(LinkError) as refused:
        keys_of(text)
    assert OLD.partition(":")[2] not in str(refused.value)


def test_secrets_are_in_no_repr() -> None:
    assert str(KEYS.secrets["k1"]) not in repr(KEYS)


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)", "ftp://a/b", "//evil.example", "/relative", "https://", "https:///x", "http://u:p@h/",
        "https://h/\r\nSet-Cookie: a=b", "https://h/ b", "https://h/ä", "https://h/<b>", "data:text/html,x",
        "https://[::1", "https://h:port/", "https://h\\@evil.example/",
    ],
)  # fmt: skip
def test_only_addresses_of_the_web_are_signed(url: str) -> None:
    with pytest.raises(LinkError):
        sign(Link("d", "p", "a", url, NOW_S), KEYS)


def test_what_is_too_long_is_refused_by_both_sides() -> None:
    long = "https://h/" + "a" * TOKEN_CHARS_MAX
    with pytest.raises(LinkError):
        sign(Link("d", "p", "a", long, NOW_S), KEYS)
    assert verify("k2." + "a" * TOKEN_CHARS_MAX + ".b", KEYS, NOW_S) is Refusal.MALFORMED


def test_a_list_of_hosts_lets_them_and_what_is_below_them_through() -> None:
    hosts = ("app.example",)
    require_target("https://app.example/x", hosts)
    require_target("https://eu.app.example/x", hosts)
    for url in ("https://evilapp.example/", "https://app.example.evil/", "https://evil.example/app.example"):
        with pytest.raises(LinkError):
            require_target(url, hosts)


TO = Addressee("d", "save", "acme", NOW_S * 1_000)
SIGNER = Signer("https://go.example/", KEYS, expire_days=30, hosts=("app.example",))


def test_a_signed_link_leads_to_the_service_and_is_the_same_every_time() -> None:
    link = SIGNER.signed("https://app.example/a", TO)
    assert link.startswith("https://go.example/l/k2.")
    assert link == SIGNER.signed("https://app.example/a", TO)
    found = verify(link.rpartition("/l/")[2], KEYS, NOW_S)
    assert found == Link("d", "save", "acme", "https://app.example/a", NOW_S + 30 * 86_400)


def test_a_click_is_an_event_that_intake_takes_for_its_account() -> None:
    event = read_event(event_of(LINK, NOW_S * 1_000))
    assert (event.type, event.event, event.context["groupId"]) == ("track", "pegel_link_clicked", "acme")
    assert event.properties == {"delivery_id": LINK.delivery_id, "play": "save", "url": LINK.url}
    assert event.timestamp == event.receivedAt == "2026-03-01T00:00:00.000Z"


def test_clicks_of_a_minute_are_one_event_and_others_are_others() -> None:
    minute_ms = NOW_S * 1_000
    other = msgspec.structs.replace(LINK, url="https://app.example/b")
    assert message_id(LINK, minute_ms) == message_id(LINK, minute_ms + 59_999)
    ids = {message_id(LINK, minute_ms), message_id(LINK, minute_ms + 60_000), message_id(other, minute_ms)}
    assert len(ids) == 3


def test_a_key_signs_with_what_it_says() -> None:
    assert isinstance(keys_of(new_key("a-1")), Keys)
    with pytest.raises(LinkError):
        new_key("No")
