"""Laws of what a line must have to be published."""

import pytest

from streams.limits import RECORD_BYTES_MAX
from streams.publish.record import BadLineError, BadLineReason, KeyKind, read_event

AT = b'"timestamp":"2026-01-01T00:00:00Z"'


def test_arrival_is_received_at_else_timestamp() -> None:
    both = b'{"receivedAt":"2026-01-01T00:00:01Z",' + AT + b"}"
    unreadable = b'{"receivedAt":"yesterday",' + AT + b"}"

    assert read_event(both, KeyKind.USER).arrival_ms == 1_767_225_601_000
    assert read_event(unreadable, KeyKind.USER).arrival_ms == 1_767_225_600_000


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        (b'"userId":"u","anonymousId":"a"', b"u"),
        (b'"anonymousId":"a"', b"a"),
        (b'"userId":"","anonymousId":"a"', b"a"),
        (b'"userId":7', None),
        (b'"userId":"\xc3\xbc"', "ü".encode()),
        (b'"x":1', None),
    ],
)
def test_a_user_key_is_the_user_else_the_anonymous_one_else_none(fields: bytes, key: bytes | None) -> None:
    assert read_event(b"{" + AT + b"," + fields + b"}", KeyKind.USER).key == key


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        (b'"type":"group","groupId":"g","context":{"groupId":"c"}', b"g"),
        (b'"type":"group","context":{"groupId":"c"}', b"c"),
        (b'"type":"track","groupId":"g","context":{"groupId":"c"}', b"c"),
    ],
)
def test_an_account_key_is_what_intake_would_find_in_the_event(fields: bytes, key: bytes) -> None:
    assert read_event(b"{" + AT + b"," + fields + b"}", KeyKind.ACCOUNT).key == key


@pytest.mark.parametrize(
    ("raw", "kind", "reason"),
    [
        (b"x", KeyKind.USER, BadLineReason.NOT_JSON),
        (b'{"a":NaN}', KeyKind.USER, BadLineReason.NOT_JSON),
        (b'{"a":"\xff"}', KeyKind.USER, BadLineReason.NOT_JSON),
        (b"[" * 100_000, KeyKind.USER, BadLineReason.NOT_JSON),
        (b"[]", KeyKind.USER, BadLineReason.NOT_AN_OBJECT),
        (b"{}", KeyKind.USER, BadLineReason.NO_ARRIVAL),
        (b'{"timestamp":1767225600}', KeyKind.USER, BadLineReason.NO_ARRIVAL),
        (b"{" + AT + b"}", KeyKind.ACCOUNT, BadLineReason.NO_ACCOUNT),
        (b"{" + AT + b',"context":[]}', KeyKind.ACCOUNT, BadLineReason.NO_ACCOUNT),
        (b" " * (RECORD_BYTES_MAX + 1), KeyKind.USER, BadLineReason.TOO_LARGE),
    ],
    ids=lambda value: value.name if isinstance(value, BadLineReason) else "",
)
def test_a_bad_line_is_refused_with_its_reason(raw: bytes, kind: KeyKind, reason: BadLineReason) -> None:
    with pytest.raises(BadLineError) as caught:
        read_event(raw, kind)
    assert caught.value.reason is reason
