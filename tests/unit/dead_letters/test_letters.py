"""Laws of dead letters: what is kept of a refused record, which ones are meant, what trying one again writes."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.dead_letter import DeadLetter, Rejected, RejectReason
from streams.dead_letters.letters import Letter, Selection, State, Verdict, again, sources, verdict
from streams.dead_letters.marks import Action, Mark, Place, decode, encode
from streams.dead_letters.store import Marks
from streams.limits import DEAD_LETTER_HEADERS_BYTES_MAX, DEAD_LETTER_KEY_BYTES_MAX, DEAD_LETTER_VALUE_BYTES_MAX
from streams.runtime.dead_letters import RefusedAt, dead_letter
from streams.runtime.partitioner import partition_of
from streams.topics import EVENT_BATCH_BYTES_MAX, Topics

TOPICS = Topics("t.")
NOW = 1_772_368_498_000
LATER = NOW + 86_400_000
PRODUCT = RefusedAt("intake", TOPICS.product_events, 3, TOPICS.product_events_dlq)
ACCOUNT = RefusedAt("engagement", TOPICS.account_events, 1, TOPICS.account_events_dlq, frozenset({"pegel-control"}))
TRANSITIONS = RefusedAt("courier", TOPICS.transitions, 0, TOPICS.transitions_dlq)


@dataclass(frozen=True)
class Record:
    value: bytes | None = b"{broken"
    key: bytes | None = b"u1"
    offset: int = 17
    timestamp: int = NOW
    headers: list[tuple[str, bytes | None]] = field(default_factory=list)


def refused(
    record: Record,
    at: RefusedAt = PRODUCT,
    reason: RejectReason = RejectReason.NOT_JSON,
    mark: Mark | None = None,
    more: tuple[tuple[str, bytes], ...] = (),
) -> Letter:
    output = dead_letter(record, Rejected(reason, "why"), at, more)
    return Letter(Place(output.topic, 0, 5), LATER, output.key, output.value, list(output.headers), mark)


def judged(letter: Letter) -> Verdict:
    return verdict(letter, sources(TOPICS)[letter.place.topic])


names = st.text(max_size=12).filter(lambda name: not name.lower().startswith("pegel-"))


@given(
    st.none() | st.binary(max_size=20),
    st.none() | st.binary(max_size=20),
    st.lists(st.tuples(names, st.none() | st.binary(max_size=8)), max_size=5),
)
def test_a_retry_is_the_record_as_it_was_however_often(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    record = Record(value, key, headers=headers)
    for retries in range(4):
        letter = refused(record)
        assert letter.told is not None
        assert (letter.told.retries, letter.told.first_seen) == (retries, "2026-03-01T12:34:58.000Z")
        assert letter.told.whole
        assert judged(letter) is Verdict.READY
        one = again(letter, TOPICS, 4)
        assert (one.topic, one.partition, one.key, one.value, one.at_ms) == (PRODUCT.topic, 3, key, value, NOW)
        assert list(one.headers[:-2]) == headers
        record = Record(one.value, one.key, 90 + retries, one.at_ms, list(one.headers))


def test_a_dead_letter_says_everything_about_its_record() -> None:
    assert refused(Record()).told == DeadLetter(
        original_topic=TOPICS.product_events,
        original_partition=3,
        original_offset=17,
        original_timestamp="2026-03-01T12:34:58.000Z",
        reason=RejectReason.NOT_JSON,
        detail="why",
        stage="intake",
        first_seen="2026-03-01T12:34:58.000Z",
    )


def test_history_that_nobody_of_us_wrote_is_not_believed_too_far() -> None:
    forged: list[tuple[str, bytes | None]] = [
        ("pegel-first-seen", b"\xff"), ("pegel-retries", b"9" * 50), ("pegel-reason", b"rejected"),
        ("Pegel-Original-Topic", b"t.segments.transitions.v1"), ("pegel-delivery-id", b"x"),
    ]  # fmt: skip
    letter = refused(Record(headers=forged))
    assert letter.told == refused(Record()).told
    assert [name for name, _ in again(letter, TOPICS, 4).headers] == ["pegel-first-seen", "pegel-retries"]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (Record(value=b"x" * (DEAD_LETTER_VALUE_BYTES_MAX + 1)), RejectReason.TOO_LARGE),
        (Record(key=b"x" * (DEAD_LETTER_KEY_BYTES_MAX + 1)), RejectReason.NOT_JSON),
        (Record(), RejectReason.BAD_BATCH),
    ],
)
def test_what_is_not_whole_is_not_tried_again(record: Record, reason: RejectReason) -> None:
    assert judged(refused(record, reason=reason)) is Verdict.NOT_WHOLE


def test_what_no_broker_would_take_from_us_is_left_alone() -> None:
    fits = Record(value=b"x" * (EVENT_BATCH_BYTES_MAX - 4_096))
    assert judged(refused(fits, reason=RejectReason.TOO_LARGE)) is Verdict.READY
    large = Record(value=fits.value, key=b"k" * 4_096)
    assert judged(refused(large, reason=RejectReason.TOO_LARGE)) is Verdict.TOO_LARGE


def test_headers_beyond_every_measure_are_cut_and_counted() -> None:
    headers: list[tuple[str, bytes | None]] = [("h", b"x" * (DEAD_LETTER_HEADERS_BYTES_MAX // 2 - 9))] * 3
    letter = refused(Record(headers=headers))
    assert letter.told is not None
    assert letter.told.original_headers == 3
    assert [name for name, _ in letter.headers].count("h") == 2


def test_a_dead_letter_that_names_another_topic_writes_nowhere() -> None:
    strange = refused(Record(), TRANSITIONS)
    misplaced = Letter(Place(TOPICS.product_events_dlq, 0, 5), LATER, strange.key, strange.value, strange.headers)
    assert judged(misplaced) is Verdict.OF_ANOTHER_TOPIC
    assert judged(Letter(misplaced.place, LATER, None, None, [])) is Verdict.NO_DEAD_LETTER


def test_what_is_keyed_by_account_goes_where_its_key_belongs_by_now() -> None:
    keyed = refused(Record(key=b"acme"), ACCOUNT)
    assert again(keyed, TOPICS, 12).partition == partition_of(b"acme", 12)
    control = refused(Record(key=None, headers=[("pegel-control", b"dance")]), ACCOUNT)
    one = again(control, TOPICS, 12)
    assert one.partition == 1
    assert one.headers[0] == ("pegel-control", b"dance")
    assert again(refused(Record()), TOPICS, 2).partition == partition_of(b"u1", 2)


def test_a_delivery_is_tried_again_alone() -> None:
    failed = (("pegel-delivery-id", b"d-1"), ("pegel-destination", b"team"), ("pegel-play", b"save"))
    letter = refused(Record(), TRANSITIONS, RejectReason.REJECTED, more=failed)
    once = [("pegel-retry-delivery", b"d-1"), ("pegel-destination", b"team"), ("pegel-play", b"save")]
    assert [pair for pair in again(letter, TOPICS, 4).headers if pair in once] == once


def test_what_one_destination_could_not_take_is_not_told_to_the_others_again() -> None:
    letter = refused(Record(), TRANSITIONS, RejectReason.PLAY_REMOVED, more=(("pegel-destination", b"team"),))
    headers = again(letter, TOPICS, 4).headers
    assert ("pegel-destination", b"team") in headers
    assert "pegel-retry-delivery" not in dict(headers)


def test_a_dead_letter_of_an_earlier_version_can_be_tried_again() -> None:
    newer = refused(Record())
    gone = ("pegel-original-timestamp", "pegel-stage", "pegel-retries")
    older = Letter(newer.place, LATER, newer.key, newer.value, [one for one in newer.headers if one[0] not in gone])
    assert judged(older) is Verdict.READY
    assert again(older, TOPICS, 4).at_ms == NOW


def mark(action: Action = Action.RETRIED, letter_ms: int = LATER) -> Mark:
    return Mark(action, letter_ms, "2026-03-03T00:00:00.000Z", "ann", "mended")


def test_a_mark_closes_its_letter_and_no_other_one() -> None:
    place = Place("t.product.events.v1.dlq", 0, 5)
    marks = Marks({place: mark()})
    assert marks.of(place, LATER) == mark()
    assert marks.of(place, LATER + 1) is None, "the topic was made anew: another letter lies there"
    assert marks.of(Place(place.topic, 0, 6), LATER) is None
    assert judged(refused(Record(), mark=mark())) is Verdict.ALREADY_RETRIED
    assert judged(refused(Record(), mark=mark(Action.DROPPED))) is Verdict.ALREADY_DROPPED


def test_marks_of_letters_that_are_gone_are_found() -> None:
    kept, gone, other = Place("a", 0, 5), Place("a", 0, 4), Place("b", 0, 1)
    marks = Marks({kept: mark(), gone: mark(), other: mark()})
    assert marks.gone({("a", 0): (5, 9)}) == [gone]


def test_marks_and_places_are_read_as_they_were_written() -> None:
    assert decode(encode(mark())) == mark()
    assert decode(b"{}") is None
    assert decode(b"\xff") is None
    place = Place("a.dlq", 3, 12)
    assert Place.parse(str(place)) == place
    for broken in ("", "a", "a:1", "a:1:x", ":1:1", "a:-1:2", "a:1:2:3", "a:1:²"):
        assert Place.parse(broken) is None


def test_a_selection_takes_what_fits_all_of_it() -> None:
    letter = refused(Record())
    topics = [letter.place.topic]
    taken = [
        Selection(topics),
        Selection(topics, places=[letter.place]),
        Selection(topics, reasons=[RejectReason.NOT_JSON, RejectReason.TOO_DEEP]),
        Selection(topics, since_ms=LATER, until_ms=LATER + 1),
    ]
    left = [
        Selection(topics, places=[Place("t", 0, 6)]),
        Selection(topics, reasons=[RejectReason.TOO_DEEP]),
        Selection(topics, since_ms=LATER + 1),
        Selection(topics, until_ms=LATER),
    ]
    assert [one.fits(letter) for one in (*taken, *left)] == [True] * 4 + [False] * 4
    closed = refused(Record(), mark=mark())
    assert closed.state is State.RETRIED
    assert [Selection(topics).fits(closed), Selection(topics, every_state=True).fits(closed)] == [False, True]
