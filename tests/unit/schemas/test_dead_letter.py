import pytest
from pydantic import ValidationError

from schemas.dead_letter import DETAIL_CHARS_MAX, DeadLetter, Rejected, RejectReason

LETTER = DeadLetter(
    original_topic="product.events.v1",
    original_partition=3,
    original_offset=128_411,
    reason=RejectReason.NOT_JSON,
    detail="malformé",
    first_seen="2026-03-01T12:34:56.789Z",
)


@pytest.mark.parametrize("letter", [LETTER, LETTER.model_copy(update={"original_bytes": 3_000_000})])
def test_a_dead_letter_is_read_from_the_headers_it_wrote(letter: DeadLetter) -> None:
    headers = [("traceparent", b"00-ab"), ("empty", None), *letter.to_headers()]
    assert DeadLetter.from_headers(headers) == letter


def test_headers_of_an_ordinary_record_are_no_dead_letter() -> None:
    with pytest.raises(ValidationError):
        DeadLetter.from_headers([("traceparent", b"00-ab")])


def test_the_detail_of_a_refusal_fits_a_header() -> None:
    rejected = Rejected(RejectReason.NOT_JSON, "x" * 1_000)
    assert len(rejected.detail) == DETAIL_CHARS_MAX
    assert str(rejected).startswith("not_json: xxx")
