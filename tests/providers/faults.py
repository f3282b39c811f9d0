"""What may happen to a request instead of an answer. Faults of a route are used up one a request, in order."""

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final

BOMB_BYTES: Final = 32 << 20
PAGE: Final = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in.</body></html>"


@dataclass(frozen=True)
class Fault:
    commit: bool = False
    """Do what was asked for first; only the answer is another."""
    status: int | None = None
    """Answer this; None: as the API does."""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    """Before the answer, after what was committed."""
    drop: bool = False
    """Close the connection instead of answering."""
    endless: bool = False
    """Never stop sending the body."""
    trickle: bool = False
    """Send the body a byte at a time, and never end."""
    before: Callable[[], None] | None = None
    """Something that happens to the provider just before the request: a token expires, an object is deleted."""


def status(code: int, body: bytes = b"", headers: Mapping[str, str] | None = None, *, commit: bool = False) -> Fault:
    return Fault(status=code, body=body, headers=headers or {}, commit=commit)


def dropped(*, commit: bool) -> Fault:
    return Fault(drop=True, commit=commit)


def late(delay_s: float, *, commit: bool) -> Fault:
    """Answers, but later than anybody waits."""
    return Fault(delay_s=delay_s, commit=commit, status=None if commit else 200)


def html_page(code: int = 200) -> Fault:
    """A proxy or a login wall answered instead of the provider."""
    return Fault(status=code, body=PAGE, headers={"Content-Type": "text/html"})


def gzip_bomb(code: int = 200) -> Fault:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    return Fault(status=code, body=_bomb(), headers=headers)


def endless_body(code: int = 200) -> Fault:
    return Fault(status=code, endless=True)


def trickling_body(code: int = 200) -> Fault:
    return Fault(status=code, trickle=True)


def happening(event: Callable[[], None]) -> Fault:
    return Fault(before=event)


@cache
def _bomb() -> bytes:
    return gzip.compress(b"0" * BOMB_BYTES, compresslevel=1)
