"""Days and names that many accounts hold."""

from streams.engine import letters
from streams.engine import shared as module
from streams.engine.shared import DAYS_MAX, NAME_PLACES, NAMES_MAX, shared, shared_name
from streams.engine.windows import NO_DAY


def stored(name: str) -> tuple[bytes, int]:
    """A name's bytes and head."""
    piece = letters.packed(name)
    return (name.encode(), len(name.encode()) << 1) if piece is None else (piece, len(piece) << 1 | 1)


def test_a_day_is_the_same_object_for_everybody_and_equals_itself() -> None:
    assert shared(int("20513")) is shared(int("20513"))
    days = [-5, 0, 20_513, 20_513 + DAYS_MAX, 20_513 - DAYS_MAX, NO_DAY, -NO_DAY]
    assert [shared(day) for day in [*days, *reversed(days)]] == [*days, *reversed(days)]


def test_no_more_days_and_names_are_kept_than_there_are_places() -> None:
    for number in range(3 * NAMES_MAX):
        shared(1_000_000 + number)
        piece, head = stored(f"name {number} as long as that")
        shared_name(piece, 0, head)
    assert len(module._days) == len(module._day_objects) == DAYS_MAX
    assert len(module._heads) == len(module._name_objects) == NAME_PLACES
    assert len(module._names) <= NAMES_MAX


def test_a_name_is_the_same_object_for_everybody_wherever_it_stands_in_a_row() -> None:
    names = ["", "a", "new", "report_created", "Report Viewed", "čapek", "a" * 15, "B" * 8, "x>y:30d", "ž" * 99]
    names += [f"{length * 'n'}{end}" for length in (5, 6, 7, 11, 12, 13, 40) for end in ("a", "b", "A", "Ž")]
    for _ in range(2):
        for name in names:
            piece, head = stored(name)
            assert shared_name(piece, 0, head) == name
            for around in (b"", b"\xff" * 8, b"more" * 9):
                assert shared_name(around + piece + around, len(around), head) is shared_name(piece, 0, head)


def test_names_that_share_a_place_are_told_apart() -> None:
    names = [f"{first}{last}" for first in range(64) for last in range(64)]
    for _ in range(2):
        for name in names:
            piece, head = stored(name)
            assert shared_name(piece + b"rest of it", 0, head) == name
