"""Laws of tokens: fresh when used, asked for once, bounded in patience, and never told."""

import json
import logging
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from streams.security.tokens import (
    ANSWER_BYTES_MAX,
    ATTEMPTS_MAX,
    LIFETIME_UNKNOWN_S,
    ClientCredentials,
    Renewing,
    TokenFile,
    TokenUnavailableError,
)
from tests.unit.security.authority import CLIENT_SECRET, ISSUE, TokenAuthority, token_authority, unsigned_token

WRONG = "not the secret, but secret"


@pytest.fixture
def authority() -> Iterator[TokenAuthority]:
    with token_authority() as running:
        yield running


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000_000.0
        self.paused: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    def pause(self, seconds: float) -> None:
        self.paused.append(seconds)


class Asked:
    """Answers one by one: a lifetime, or an error."""

    def __init__(self, *answers: float | TokenUnavailableError) -> None:
        self._answers = list(answers)
        self.count = 0

    def __call__(self) -> tuple[str, float]:
        self.count += 1
        answer = self._answers.pop(0)
        if isinstance(answer, TokenUnavailableError):
            raise answer
        return f"token-{self.count}", answer


def credentials(authority: TokenAuthority, secret: str = CLIENT_SECRET) -> ClientCredentials:
    return ClientCredentials(authority.url, "pegel", SecretStr(secret), "kafka.write")


# -- asking -----------------------------------------------------------------------------------------------------------


def test_a_secret_with_any_characters_gets_a_token_with_its_lifetime(authority: TokenAuthority) -> None:
    token, lifetime_s = credentials(authority).ask()

    assert token.count(".") == 2
    assert lifetime_s == authority.lifetime_s
    assert authority.asked == [{"grant_type": ["client_credentials"], "scope": ["kafka.write"]}]


def test_a_refusal_is_final_and_names_the_endpoint_and_the_code_but_quotes_nothing(authority: TokenAuthority) -> None:
    with pytest.raises(TokenUnavailableError) as caught:
        credentials(authority, WRONG).ask()

    assert str(caught.value) == f"kafka.sasl_oauthbearer_token_url {authority.url}: answers 401 (invalid_client)"
    assert caught.value.final
    assert WRONG not in repr(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "said", "final"),
    [
        (503, b"", "answers 503", False),
        (429, b"{}", "answers 429", False),
        (302, b"", "answers 302", True),
        (400, b'{"error": "<script>"}', "answers 400", True),
        (ISSUE, b"not json", "holds no access_token", True),
        (ISSUE, b'{"access_token": "a\\u0001b"}', "holds no access_token", True),
        (ISSUE, b'{"access_token": "a", "expires_in": "soon"}', "expires_in in the answer is no number", True),
        (ISSUE, b'{"access_token": "a", "expires_in": -1}', "no time that can be meant", True),
        (ISSUE, b'{"access_token": "a", "expires_in": NaN}', "no time that can be meant", True),
        (ISSUE, b"[" * 100_000, "holds no access_token", True),
        (ISSUE, b" " * (ANSWER_BYTES_MAX + 1), "too long or too slow", False),
    ],
)
def test_whatever_an_endpoint_answers_is_told_in_a_line(
    authority: TokenAuthority, status: int, body: bytes, said: str, *, final: bool
) -> None:
    authority.answers.append((status, body))
    with pytest.raises(TokenUnavailableError, match=said) as caught:
        credentials(authority).ask()
    assert caught.value.final is final
    assert len(authority.asked) == 1, "a redirect is not followed: it would carry the secret elsewhere"


def test_a_lifetime_that_is_not_told_is_taken_for_short(authority: TokenAuthority) -> None:
    authority.answers.append((ISSUE, json.dumps({"access_token": "opaque"}).encode()))
    assert credentials(authority).ask() == ("opaque", LIFETIME_UNKNOWN_S)


def test_an_endpoint_that_is_away_is_worth_asking_again() -> None:
    away = ClientCredentials("http://127.0.0.1:1/token", "pegel", SecretStr("s"))
    with pytest.raises(TokenUnavailableError, match=r"127\.0\.0\.1:1/token: Connection refused") as caught:
        away.ask()
    assert not caught.value.final


def test_an_endpoint_without_tls_behind_https_is_told(authority: TokenAuthority) -> None:
    secured = authority.url.replace("http:", "https:")
    asker = ClientCredentials(secured, "pegel", SecretStr("s"), tls=ssl.create_default_context())
    with pytest.raises(TokenUnavailableError, match="token_url https:"):
        asker.ask()


def test_neither_secret_nor_token_is_in_what_is_printed_of_a_source(authority: TokenAuthority, tmp_path: Path) -> None:
    token = Renewing(credentials(authority).ask).token()
    assert CLIENT_SECRET not in repr(credentials(authority))
    assert token.value not in repr(token)


# -- keeping ----------------------------------------------------------------------------------------------------------


def test_a_token_is_kept_until_shortly_before_it_expires() -> None:
    clock, asked = Clock(), Asked(3_600, 3_600)
    source = Renewing(asked, clock, clock.pause)
    assert source.token().value == source.token().value == "token-1"

    clock.now_s += 3_600 - 61
    assert source.token().value == "token-1"
    clock.now_s += 2
    assert source.token().value == "token-2"
    assert asked.count == 2


def test_a_short_life_leaves_a_share_of_itself() -> None:
    clock, asked = Clock(), Asked(10, 10)
    source = Renewing(asked, clock, clock.pause)
    source.token()
    clock.now_s += 7.9
    assert source.token().value == "token-1"
    clock.now_s += 0.2
    assert source.token().value == "token-2"


def test_an_authority_that_is_away_is_asked_a_few_times_and_no_more() -> None:
    away = [TokenUnavailableError("away") for _ in range(ATTEMPTS_MAX)]
    clock, asked = Clock(), Asked(*away)
    with pytest.raises(TokenUnavailableError, match="away"):
        Renewing(asked, clock, clock.pause).token()
    assert asked.count == ATTEMPTS_MAX
    assert len(clock.paused) == ATTEMPTS_MAX - 1


def test_a_refusal_is_not_asked_for_twice() -> None:
    clock, asked = Clock(), Asked(TokenUnavailableError("no", final=True))
    with pytest.raises(TokenUnavailableError, match="no"):
        Renewing(asked, clock, clock.pause).token()
    assert asked.count == 1


def test_a_token_that_is_still_good_outlasts_an_authority_that_is_away(caplog: pytest.LogCaptureFixture) -> None:
    clock, asked = (
        Clock(),
        Asked(3_600, TokenUnavailableError("no", final=True), TokenUnavailableError("no", final=True)),
    )
    source = Renewing(asked, clock, clock.pause)
    source.token()
    clock.now_s += 3_570
    with caplog.at_level(logging.WARNING):
        assert source.token().value == "token-1"
    assert "going on with the token that expires in 30 s" in caplog.text
    clock.now_s += 31
    with pytest.raises(TokenUnavailableError):
        source.token()


def test_many_who_ask_at_once_make_one_request() -> None:
    asked, started = Asked(3_600), threading.Barrier(8)
    source = Renewing(asked)
    got: list[str] = []

    def ask() -> None:
        started.wait()
        got.append(source.token().value)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == ["token-1"] * 8
    assert asked.count == 1


# -- files ------------------------------------------------------------------------------------------------------------


def test_a_file_that_changed_is_the_new_token(tmp_path: Path) -> None:
    file = tmp_path / "token"
    source = TokenFile(file)
    file.write_text("first\n")
    assert source.token().value == "first"
    file.write_text("second")
    assert source.token().value == "second"


def test_the_end_of_a_token_is_read_from_it(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(unsigned_token("pegel", lifetime_s=1_234))
    clock = Clock()
    clock.now_s = 0
    assert TokenFile(file, clock).token().expires_at_s == pytest.approx(time.time() + 1_234, abs=60)


def test_a_token_that_nobody_renewed_is_told_with_its_age(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(unsigned_token("pegel", lifetime_s=-3_600))
    with pytest.raises(TokenUnavailableError, match=r"expired 36\d\d s ago; whoever writes the file does not renew it"):
        TokenFile(file).token()


@pytest.mark.parametrize("content", [b"", b"two words", b"line\nline", b"\xff\xfe", b"a\x01auth=b"])
def test_a_file_without_a_token_is_refused_without_quoting_it(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(TokenUnavailableError) as caught:
        TokenFile(file).token()
    assert str(caught.value).startswith(f"kafka.sasl_oauthbearer_token_file {file}: ")
    assert "words" not in str(caught.value)


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(TokenUnavailableError, match="No such file"):
        TokenFile(tmp_path / "none").token()
