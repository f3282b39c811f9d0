"""Numbers and names that many accounts hold."""

from streams.engine import shared as module
from streams.engine.shared import NAMES_MAX, NUMBERS_MAX, shared, shared_name


def test_a_number_is_the_same_object_for_everybody_and_equals_itself() -> None:
    first, second = int("20513"), int("20513")
    assert shared(first) is shared(second)
    assert [shared(number) for number in (-5, 0, 20_513, 1 << 70)] == [-5, 0, 20_513, 1 << 70]


def test_no_more_numbers_are_kept_than_the_limit() -> None:
    for number in range(3 * NUMBERS_MAX):
        shared(1_000_000 + number)
    assert len(module._numbers) <= NUMBERS_MAX


def test_a_name_is_the_same_object_for_everybody_and_no_more_are_kept_than_the_limit() -> None:
    encoded = "čapek".encode()
    assert shared_name(encoded) == "čapek"
    assert shared_name(bytes(encoded)) is shared_name(encoded)
    for number in range(3 * NAMES_MAX):
        shared_name(f"name-{number}".encode())
    assert len(module._names) <= NAMES_MAX
