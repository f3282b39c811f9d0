"""Tokens and keys as they go into headers: without the line end that files bring along, and nothing that breaks one."""

import base64
from typing import Annotated, Final

from pydantic import AfterValidator, SecretStr

CHARS_MAX: Final = 8_192


def _usable(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value().strip()
    if not text or len(text) > CHARS_MAX or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("a credential is one word of printable ASCII characters")
    return SecretStr(text)


Credential = Annotated[SecretStr, AfterValidator(_usable)]


def basic(user: str, password: str) -> str:
    """The value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
