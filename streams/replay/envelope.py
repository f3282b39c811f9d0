"""A dumped record: the JSON envelope of `kcat -J`, which `pegel dump` writes too.

    {"topic": "account.events.v1", "partition": 0, "offset": 7, "tstype": "create", "ts": 1709546400000,
     "headers": ["pegel-control", "clock"], "key": "acme", "payload": "{...}"}

Bytes that are no UTF-8 come as `key_base64` and `payload_base64`; if any header has such bytes, all names and values
come as `headers_base64`.
"""

import base64
import binascii

import msgspec

from schemas.dead_letter import Rejected, RejectReason


class Envelope(msgspec.Struct):
    """One dumped record. `ts` is the Kafka timestamp in ms UTC."""

    topic: str
    partition: int
    offset: int
    ts: int
    key: str | None = None
    payload: str | None = None
    key_base64: str | None = None
    payload_base64: str | None = None
    headers: list[str | None] = []
    headers_base64: list[str | None] | None = None

    def key_bytes(self) -> bytes | None:
        return _bytes(self.key, self.key_base64)

    def payload_bytes(self) -> bytes | None:
        return _bytes(self.payload, self.payload_base64)

    def header_pairs(self) -> list[tuple[str, bytes | None]]:
        """Names and values; a name that is no UTF-8 is no name that anybody asks for."""
        flat = self.headers
        if self.headers_base64 is None:
            return [(name or "", _bytes(value, None)) for name, value in zip(flat[::2], flat[1::2], strict=False)]
        raw = [_bytes(None, one) for one in self.headers_base64]
        return [
            ((name or b"").decode("utf-8", "backslashreplace"), value)
            for name, value in zip(raw[::2], raw[1::2], strict=False)
        ]

    def header(self, name: str) -> str | None:
        """The value of a header as text, the last one if it occurs several times; raises `Rejected`."""
        found = None
        for key, value in self.header_pairs():
            if key == name:
                found = None if value is None else value.decode("utf-8", "replace")
        return found


_decoder = msgspec.json.Decoder(Envelope)


def decode_envelope(raw: bytes) -> Envelope | None:
    """The envelope of a line; None if the line is none."""
    try:
        return _decoder.decode(raw)
    except msgspec.DecodeError:
        return None


def _bytes(text: str | None, encoded: str | None) -> bytes | None:
    if encoded is not None:
        try:
            return base64.b64decode(encoded, validate=True)
        except binascii.Error:
            raise Rejected(RejectReason.NOT_JSON, "a base64 field of the envelope cannot be read") from None
    return None if text is None else text.encode("utf-8", "surrogatepass")
