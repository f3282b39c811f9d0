"""What an expression of PromQL reads: enough of the language for the expressions that this project writes."""

import re
from dataclasses import dataclass, field
from typing import Final

_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"|' + r"'(?:[^'\\]|\\.)*'")
_RANGE: Final = re.compile(r"\[[^\]]*\]|\boffset\s+-?\w+")
_GROUPING: Final = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_SELECTOR: Final = re.compile(r"(?<![\w:.])([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?(\s*\()?")
_MATCHER: Final = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')
_WORDS: Final = frozenset({"and", "or", "unless", "bool", "by", "without", "on", "ignoring", "Inf", "NaN"})


@dataclass(frozen=True, slots=True)
class Matcher:
    label: str
    operator: str
    value: str

    @property
    def words(self) -> list[str]:
        """What is asked for; of a regular expression its alternatives."""
        return self.value.split("|") if "~" in self.operator else [self.value]


@dataclass(frozen=True, slots=True)
class Selector:
    metric: str
    matchers: tuple[Matcher, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    selectors: tuple[Selector, ...]
    grouped_by: frozenset[str] = field(default_factory=frozenset)


def read(expression: str) -> Reading:
    strings = _STRING.findall(expression)
    bare = _STRING.sub(lambda found: f'"{strings.index(found.group())}"', expression)
    grouped = {label.strip() for found in _GROUPING.findall(bare) for label in found.split(",") if label.strip()}
    bare = _RANGE.sub("", _GROUPING.sub("", bare))
    selectors = []
    for name, braces, call in _SELECTOR.findall(bare):
        if call or name in _WORDS:
            continue
        full = re.sub(r'"(\d+)"', lambda found: '"' + strings[int(found.group(1))][1:-1] + '"', braces)
        selectors.append(Selector(name, tuple(Matcher(*found) for found in _MATCHER.findall(full))))
    return Reading(tuple(selectors), frozenset(grouped))
