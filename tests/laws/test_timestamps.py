from datetime import UTC, datetime, timedelta, timezone

from hypothesis import example, given
from hypothesis import strategies as st

from schemas.timestamps import YEAR_1_MS, YEAR_9999_END_MS, format_ms, parse_ms

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MS = timedelta(milliseconds=1)

times = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29))  # noqa: DTZ001 - the offset is drawn apart
offset_minutes = st.integers(-(24 * 60 - 1), 24 * 60 - 1)
milliseconds = st.integers(YEAR_1_MS, YEAR_9999_END_MS)


@given(times, offset_minutes, st.sampled_from("Tt "), st.integers(0, 6))
def test_reading_agrees_with_the_standard_library(time: datetime, minutes: int, separator: str, digits: int) -> None:
    """Whatever the offset and the number of digits, the result is datetime's, cut to the millisecond."""
    there = time.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    fraction = f"{time.microsecond:06}"[:digits]
    sign, offset = "-" if minutes < 0 else "+", abs(minutes)
    text = (
        f"{time.year:04}-{time.month:02}-{time.day:02}{separator}{time.hour:02}:{time.minute:02}:{time.second:02}"
        f"{'.' + fraction if fraction else ''}{sign}{offset // 60:02}:{offset % 60:02}"
    )
    kept_ms = int(fraction[:3].ljust(3, "0"))
    assert parse_ms(text) == (there.replace(microsecond=0) - EPOCH) // MS + kept_ms


@given(milliseconds)
@example(YEAR_1_MS)
@example(YEAR_9999_END_MS)
def test_what_is_written_reads_back(ms: int) -> None:
    assert parse_ms(format_ms(ms)) == ms


@given(milliseconds)
def test_writing_agrees_with_the_standard_library(ms: int) -> None:
    time = EPOCH + ms * MS
    assert format_ms(ms) == f"{time.year:04}-{time:%m-%dT%H:%M:%S}.{ms % 1000:03}Z"


@given(st.integers())
def test_writing_never_fails_and_keeps_order_within_rfc_3339(ms: int) -> None:
    text = format_ms(ms)
    assert text[-1] == "Z"
    if YEAR_1_MS <= ms < YEAR_9999_END_MS:
        assert text < format_ms(ms + 1)


@given(st.text(max_size=70))
def test_any_text_is_a_time_or_none(text: str) -> None:
    ms = parse_ms(text)
    assert ms is None or isinstance(ms, int)


@given(milliseconds, st.data())
def test_one_wrong_character_is_never_taken_for_something_else(ms: int, data: st.DataObject) -> None:
    """Either the changed text is no time, or the standard library reads it as the same time."""
    text = format_ms(ms)
    place = data.draw(st.integers(0, len(text) - 1))
    changed = text[:place] + data.draw(st.characters()) + text[place + 1 :]
    found = parse_ms(changed)
    if found is not None:
        assert changed.isascii()
        assert changed[17:19] == "60" or found == (datetime.fromisoformat(changed.upper()) - EPOCH) // MS
