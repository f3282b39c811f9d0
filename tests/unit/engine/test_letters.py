"""Names in five bits a character."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.letters import packed, unpacked

usual = st.text(st.sampled_from("abcxyz_ .ABCXYZ0189:-/$>"), max_size=40)


@given(st.one_of(usual, st.text(max_size=20)))
def test_a_name_is_what_it_was_and_shorter_or_not_packed(name: str) -> None:
    piece = packed(name)
    if piece is not None:
        assert unpacked(piece) == name
        assert len(piece) < len(name.encode())


@pytest.mark.parametrize(
    ("name", "length"),
    [("new", 2), ("report_created", 9), ("Report Created", 10), ("3:report_created", 12), ("power users", 7)],
)
def test_words_take_five_bits_a_letter(name: str, length: int) -> None:
    assert len(packed(name) or b"") == length


@pytest.mark.parametrize("name", ["", "a", "1", "ABC", "čapek", "日本", "a\0b", "ß", "İ", "\ud800"])
def test_what_has_other_characters_or_would_be_no_shorter_is_not_packed(name: str) -> None:
    assert packed(name) is None


def test_different_names_differ_when_they_are_packed() -> None:
    names = [f"{word}{end}" for word in ("aaaaaaaa", "Aaaaaaaa", "aaaaaaa_") for end in ("", "a", "A", "0", ".")]
    pieces = [packed(name) for name in names]
    assert None not in pieces
    assert len(set(pieces)) == len(names)


@pytest.mark.parametrize("piece", [b"\x20", b"\x1e", b"\x1f\x00", b"\xfe\x07", b"\xff\xff\xff"])
def test_what_no_name_gives_is_refused(piece: bytes) -> None:
    with pytest.raises(ValueError, match="codes"):
        unpacked(piece)
