"""A link's token: what it says, and the proof that we wrote it.

    KEY_ID "." base64url(MessagePack [delivery, play, account, url, expires at]) "." base64url(HMAC-SHA256)

The proof covers key id and content as they stand in the token, so there is one way to write each: nothing is decoded
before it is proven, and the comparison takes the same time wherever two proofs differ. Several keys may be known and
the first one signs: to rotate, put a new one in front, and take the old one out when its links have expired.
"""

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from secrets import token_bytes
from typing import Final
from urllib.parse import urlsplit

import msgspec

KEY_BYTES_MIN: Final = 32
KEY_IDS_MAX: Final = 16
TOKEN_CHARS_MAX: Final = 2_700
"""With a service's address in front it fits what Slack takes as a button's address: 3,000 characters."""
CONTEXT: Final = b"pegel-link-v1\0"
KEY_ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
TARGET: Final = re.compile(r"https?://[\x21-\x7e]+", re.IGNORECASE)
FORBIDDEN_IN_TARGET: Final = frozenset('"<>\\^`{|}')


class LinkError(ValueError):
    """A link cannot be signed, or keys cannot be used; says why and quotes no secret."""


class Refusal(StrEnum):
    """Why a token is not followed."""

    MALFORMED = "malformed"
    UNKNOWN_KEY = "unknown_key"
    FORGED = "forged"
    EXPIRED = "expired"


class Link(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where it leads, and whom it was sent to."""

    delivery_id: str
    play: str
    account_id: str
    url: str
    expires_at_s: int


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Link).decode


@dataclass(frozen=True, slots=True)
class Keys:
    """Secrets by their id; `signing` names the one in use."""

    signing: str
    secrets: Mapping[str, bytes] = field(repr=False)


def keys_of(text: str) -> Keys:
    """`k2:SECRET,k1:SECRET`, secrets in base64url; the first one signs."""
    secrets: dict[str, bytes] = {}
    for place, part in enumerate(text.split(","), start=1):
        key_id, colon, encoded = part.strip().partition(":")
        if not colon or not KEY_ID.fullmatch(key_id):
            raise LinkError(f"key {place} is not written ID:SECRET, the id in lower case; make one: pegel link key ID")
        secret = _bytes(encoded)
        if secret is None or len(secret) < KEY_BYTES_MIN:
            raise LinkError(f"the secret of key {key_id!r} is no base64url of {KEY_BYTES_MIN} bytes or more")
        if key_id in secrets:
            raise LinkError(f"the key id {key_id!r} stands there twice")
        secrets[key_id] = secret
    if len(secrets) > KEY_IDS_MAX:
        raise LinkError(f"more than {KEY_IDS_MAX} keys; take out those whose links have expired")
    return Keys(next(iter(secrets)), secrets)


def new_key(key_id: str) -> str:
    """A line for the setting."""
    if not KEY_ID.fullmatch(key_id):
        raise LinkError("an id has lower-case letters, digits, - and _, at most 32")
    return f"{key_id}:{_text(token_bytes(KEY_BYTES_MIN))}"


def sign(link: Link, keys: Keys) -> str:
    """The token; raises LinkError for what is no web address or does not fit."""
    require_target(link.url)
    unsigned = f"{keys.signing}.{_text(_encode(link))}"
    token = f"{unsigned}.{_proof(unsigned, keys.secrets[keys.signing])}"
    if len(token) > TOKEN_CHARS_MAX:
        raise LinkError(f"the link would be longer than {TOKEN_CHARS_MAX} characters")
    return token


def verify(token: str, keys: Keys, now_s: float) -> Link | Refusal:
    """What it says, if we wrote it and it has not expired."""
    if len(token) > TOKEN_CHARS_MAX or not token.isascii() or token.count(".") != 2:
        return Refusal.MALFORMED
    unsigned, _, proof = token.rpartition(".")
    key_id, _, content = unsigned.partition(".")
    secret = keys.secrets.get(key_id)
    if secret is None:
        return Refusal.UNKNOWN_KEY
    if not hmac.compare_digest(proof.encode(), _proof(unsigned, secret).encode()):
        return Refusal.FORGED
    raw = _bytes(content)
    assert raw is not None, "we wrote it"
    link = _decode(raw)
    require_target(link.url)
    return Refusal.EXPIRED if now_s >= link.expires_at_s else link


def require_target(url: str, hosts: Collection[str] = ()) -> None:
    """Raise LinkError unless it is an address of the web: of one of the hosts, or below one, if any are given.

    Only printable ASCII: what has a line end in it would end the header that leads there.
    """
    if not TARGET.fullmatch(url) or FORBIDDEN_IN_TARGET & set(url):
        raise LinkError("a link leads to http:// or https://, in printable ASCII; use the filter urlencode for names")
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise LinkError("the address cannot be read") from None
    if not host or parts.username is not None or parts.password is not None:
        raise LinkError("an address names a host and no user")
    if hosts and not any(host == one or host.endswith(f".{one}") for one in hosts):
        raise LinkError(f"{host} is none of the hosts that links may lead to")


def _proof(unsigned: str, secret: bytes) -> str:
    return _text(hmac.new(secret, CONTEXT + unsigned.encode(), sha256).digest())


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes(text: str) -> bytes | None:
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
