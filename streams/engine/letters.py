"""Names in fewer bytes than UTF-8: five bits a character, for most of them are words in lower case.

Theory of operation. Each character is a code, or two. Codes 1 to 29 are the characters of `_PLAIN`; `_CAPITAL` makes a
capital of the letter whose code follows, and after `_OTHER` the code is one of `_OTHERS`. All codes of a name are one
number, the first lowest, written lowest byte first. No code is 0, so that the number ends where its bits do.
"""

from typing import Final

_PLAIN: Final = "abcdefghijklmnopqrstuvwxyz_ ."
_CAPITAL: Final = 30
_OTHER: Final = 31
_OTHERS: Final = "0123456789:-/$+@#&()'>,"
_BITS: Final = 5
_MASK: Final = (1 << _BITS) - 1


def _codes() -> dict[str, list[int]]:
    codes = {character: [code] for code, character in enumerate(_PLAIN, 1)}
    codes |= {character.upper(): [_CAPITAL, *code] for character, code in codes.items() if character.isalpha()}
    return codes | {character: [_OTHER, code] for code, character in enumerate(_OTHERS, 1)}


_CODES: Final = _codes()
_CHARACTERS: Final = {tuple(codes): character for character, codes in _CODES.items()}


def packed(name: str) -> bytes | None:
    """The name in fewer bytes; None if it has another character or needs no fewer."""
    number = shift = 0
    for character in name:
        codes = _CODES.get(character)
        if codes is None:
            return None
        for code in codes:
            number |= code << shift
            shift += _BITS
    length = (shift + 7) // 8
    return number.to_bytes(length, "little") if length < len(name) else None


def unpacked(piece: bytes) -> str:
    """The name of such bytes.

    Raises:
        ValueError: they are damaged.
    """
    number, characters = int.from_bytes(piece, "little"), list[str]()
    while number:
        codes: tuple[int, ...] = (number & _MASK,)
        number >>= _BITS
        if codes[0] >= _CAPITAL:
            codes = (codes[0], number & _MASK)
            number >>= _BITS
        if codes not in _CHARACTERS:
            raise ValueError(f"no character has the codes {codes}")
        characters.append(_CHARACTERS[codes])
    return "".join(characters)
