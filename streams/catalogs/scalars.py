"""From a character of a YAML scalar's value back to the character of the file that it was written as.

Theory of operation. Between file and value YAML only takes away: quotes, the indicator and indentation of a block,
escapes, line folding. So each character of the value that is no white space stands in the file, in the same order, as
itself or as an escape. Walking both side by side finds it; white space of the value is where the walk stands.
"""

import re
from typing import Final

import yaml

_ESCAPE_CHARS: Final = {"x": 4, "u": 6, "U": 10}  # with the backslash; all others have 2
_LINE_JOINED: Final = re.compile(r"\\\n[ \t]*")


def offset_in_file(text: str, node: yaml.ScalarNode, value: str, at: int) -> int:
    """The offset in `text` of character `at` of the value that `node` was read as.

    A value that is not what the file says (an unquoted `0.50` is the rule `0.5`) is taken as a whole: its start.
    """
    start, end = node.start_mark.index, node.end_mark.index
    if node.style in ("|", ">"):
        start = text.find("\n", start, end) + 1 or end
    elif node.style in ("'", '"'):
        start += 1
    if value != node.value:
        return start
    position = found = start
    for character in value[: at + 1]:
        found, position = _step(text, position, end, character, node.style)
    return found if at < len(value) else position


def _step(text: str, position: int, end: int, character: str, style: str | None) -> tuple[int, int]:
    """Where this character of the value stands, from `position` on, and where the next one may begin."""
    joined = _LINE_JOINED.match(text, position, end) if style == '"' else None
    position = position if joined is None else joined.end()
    is_escape = style == '"' and text.startswith("\\", position)
    if not is_escape:
        begin = position
        while position < end and text[position].isspace():
            position += 1
        if character.isspace():  # written as it is, or a folded line end with the indentation behind it
            return begin, position if text[begin : begin + 1] == "\n" else min(begin + 1, position)
    if is_escape:
        length = _ESCAPE_CHARS.get(text[position + 1 : position + 2], 2)
    else:
        length = 2 if style == "'" and text.startswith("''", position) else 1
    return position, min(position + length, end)
