"""What is Slack's own: words, payload, limits."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.connectors.dialects import Dialect, cut, escape
from streams.connectors.http import Answer
from streams.connectors.outcome import OutcomeKind as K
from streams.connectors.slack.answers import ERRORS, outcome_of
from streams.connectors.slack.payload import payload_of, sections
from streams.dev.slack.rules import refusal
from tests.unit.connectors.kit import message

NOW_MS = 1_772_368_498_000


@pytest.mark.parametrize(
    ("status", "body", "kind", "detail"),
    [
        (400, "invalid_payload", K.REJECTED, "400 invalid_payload"),
        (400, "no_text", K.REJECTED, "400 no_text"),
        (400, "too_many_attachments", K.REJECTED, "400 too_many_attachments"),
        (400, "user_not_found", K.REJECTED, "400 user_not_found"),
        (403, "invalid_token", K.AUTH, "403 invalid_token"),
        (403, "action_prohibited", K.AUTH, "403 action_prohibited"),
        (403, "posting_to_general_channel_denied", K.AUTH, "403 posting_to_general_channel_denied"),
        (404, "no_active_hooks", K.GONE, "404 no_active_hooks"),
        (404, "no_service", K.GONE, "404 no_service"),
        (404, "no_service_id", K.GONE, "404 no_service_id"),
        (404, "no_team", K.GONE, "404 no_team"),
        (404, "channel_not_found", K.GONE, "404 channel_not_found"),
        (410, "channel_is_archived", K.GONE, "410 channel_is_archived"),
        (500, "rollup_error", K.RETRY_DESTINATION, "500 rollup_error"),
        (400, "an_unknown_word", K.REJECTED, "400"),
        (500, "<html>oops</html>", K.RETRY_DESTINATION, "500"),
        (200, "<html>log in</html>", K.RETRY_DESTINATION, "html_page"),
        (200, "ok", K.OK, ""),
        (200, '{"success":true}', K.OK, ""),
    ],
)
def test_slacks_words_decide(status: int, body: str, kind: K, detail: str) -> None:
    outcome = outcome_of(Answer(status, body.encode()), NOW_MS)
    assert (outcome.kind, outcome.detail) == (kind, detail)


def test_the_wait_of_a_429_may_stand_in_its_body() -> None:
    body = b'{"retry_after":3,"ok":false,"error":"rate_limited"}'
    assert outcome_of(Answer(429, body), NOW_MS).after_s == 3.0
    assert outcome_of(Answer(429, body, {"Retry-After": "8"}), NOW_MS).after_s == 8.0
    assert outcome_of(Answer(200, b"ok"), NOW_MS).after_s is None


def test_both_spellings_of_a_throttle_are_known() -> None:
    assert {word for word, kind in ERRORS.items() if kind is K.THROTTLED} == {"ratelimited", "rate_limited"}


def blocks_of(title: str, body: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = payload_of(message(title=title, body=body))["blocks"]
    return found


@settings(deadline=None)
@given(title=st.text(min_size=1, max_size=400).filter(str.strip), body=st.text(max_size=20_000))
def test_no_payload_is_beyond_slacks_limits(title: str, body: str) -> None:
    payload = payload_of(message(title=title, body=escape(body, Dialect.SLACK)))
    assert refusal(payload) is None


def test_the_title_is_plain_text_and_the_fallback_is_escaped() -> None:
    payload = payload_of(message(title="<!channel> & co", body="b"))
    assert payload["blocks"][0]["text"] == {"type": "plain_text", "text": "<!channel> & co", "emoji": False}
    assert payload["text"] == "&lt;!channel&gt; &amp; co"
    assert payload["unfurl_links"] is payload["unfurl_media"] is False


def test_an_account_that_looks_like_a_domain_becomes_no_link() -> None:
    assert blocks_of("t", "acme.com is at risk")[1]["text"] == {
        "type": "mrkdwn", "text": "acme.com is at risk", "verbatim": True,
    }  # fmt: skip


def test_a_message_without_a_body_has_no_empty_section() -> None:
    assert [block["type"] for block in blocks_of("t", "")] == ["header", "context"]


def test_long_bodies_are_split_at_line_ends() -> None:
    body = "\n".join(f"{number:03d} " + "x" * 96 for number in range(80))
    parts = sections(body)
    assert [len(part) <= 3_000 for part in parts] == [True] * len(parts)
    assert "\n".join(parts) == body


@settings(deadline=None)
@given(st.text(alphabet="a&<>", min_size=1, max_size=60), st.integers(min_value=2, max_value=80))
def test_a_cut_never_goes_through_an_escaped_character(text: str, chars_max: int) -> None:
    kept = cut(escape(text, Dialect.SLACK), chars_max)
    assert len(kept) <= chars_max
    plain = kept.removesuffix("…").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert text.startswith(plain)


def test_a_cut_leaves_no_half_link() -> None:
    assert cut("see <https://example.com|the page>", 20) == "see …"
