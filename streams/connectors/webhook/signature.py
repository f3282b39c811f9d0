"""Standard Webhooks: the signature by which a receiver knows the sender."""

import base64
import binascii
import hashlib
import hmac
from typing import Final

PREFIX: Final = "whsec_"
KEY_BYTES_MIN: Final = 24
KEY_BYTES_MAX: Final = 64


def key_of(secret: str) -> bytes:
    """The key in a secret as it is handed out; raises ValueError, without repeating it."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"the secret must be {PREFIX} followed by base64") from None
    if not KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX:
        raise ValueError(f"the secret must hold {KEY_BYTES_MIN} to {KEY_BYTES_MAX} bytes, this one has {len(key)}")
    return key


def signed_headers(key: bytes, delivery_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    signed = b".".join((delivery_id.encode(), str(timestamp_s).encode(), body))
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }
