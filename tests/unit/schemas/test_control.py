import json
from typing import Any

import pytest

from schemas.control import (
    CONTROL_HEADER,
    CatalogChange,
    Clock,
    Control,
    Erase,
    MeasureThresholds,
    Thresholds,
    decode_control,
    encode_control,
)
from schemas.dead_letter import Rejected, RejectReason
from streams.limits import RECORD_BYTES_MAX


@pytest.mark.parametrize(
    ("kind", "control"),
    [
        ("clock", Clock(at="2026-03-01T12:34:56.789Z")),
        (
            "thresholds",
            Thresholds(day="2026-03-01", measures={"depth": MeasureThresholds(count=2, percentiles=[1, 2.5])}),
        ),
        ("catalog", CatalogChange(version="abc")),
        ("catalog", CatalogChange(version="abc", announce=True, content={"name": "x"})),
        ("erase", Erase(account_id="acme")),
        ("erase", Erase(user_id="u")),
    ],
)
def test_a_control_record_is_read_as_it_was_written(kind: str, control: Control) -> None:
    (header, value), raw = encode_control(control)
    assert (header, value) == (CONTROL_HEADER, kind.encode())
    assert decode_control(value, raw) == decode_control(kind, raw) == control


def test_times_of_control_records_are_numbers_too() -> None:
    assert Clock(at="1970-01-01T00:00:01.500Z").at_ms == 1_500
    assert Thresholds(day="1970-01-02", measures={}).day_number == 1


@pytest.mark.parametrize("kind", [None, b"", b"clocks", "Clock", b"\xff"])
def test_a_kind_that_is_not_known_is_refused(kind: Any) -> None:
    with pytest.raises(Rejected) as caught:
        decode_control(kind, b"{}")
    assert caught.value.reason is RejectReason.UNKNOWN_CONTROL


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("clock", {}),
        ("clock", {"at": None}),
        ("clock", {"at": 1772368496789}),
        ("clock", {"at": "2026-03-01T12:34:56"}),
        ("clock", []),
        ("thresholds", {"day": "2026-02-30", "measures": {}}),
        ("thresholds", {"day": "2026-03-01", "measures": {"m": {"count": -1, "percentiles": []}}}),
        ("thresholds", {"day": "2026-03-01", "measures": {"m": {"count": 1, "percentiles": [float("nan")]}}}),
        ("thresholds", {"day": "2026-03-01", "measures": {"m": {"count": 1, "percentiles": ["1"]}}}),
        ("catalog", {"version": ""}),
        ("catalog", {"version": "v", "announce": "yes"}),
        ("erase", {}),
        ("erase", {"account_id": "a", "user_id": "u"}),
        ("erase", {"account_id": "x" * 256}),
    ],
)
def test_a_control_record_that_makes_no_sense_is_refused(kind: str, value: Any) -> None:
    with pytest.raises(Rejected) as caught:
        decode_control(kind, json.dumps(value).encode())
    assert caught.value.reason is RejectReason.BAD_CONTROL
    assert kind in caught.value.detail


@pytest.mark.parametrize("raw", [None, b"", b"{", b"\xff"])
def test_a_control_record_that_is_no_json_is_refused(raw: bytes | None) -> None:
    with pytest.raises(Rejected) as caught:
        decode_control("clock", raw)
    assert caught.value.reason is RejectReason.BAD_CONTROL


def test_a_control_record_has_a_size_limit() -> None:
    with pytest.raises(Rejected) as caught:
        decode_control("clock", b" " * (RECORD_BYTES_MAX + 1))
    assert caught.value.reason is RejectReason.TOO_LARGE


def test_fields_of_later_versions_are_no_obstacle() -> None:
    assert decode_control("clock", b'{"at":"1970-01-01T00:00:00Z","by":"w1"}') == Clock(at="1970-01-01T00:00:00Z")
