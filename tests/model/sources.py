"""Where a scenario's decisions come from: a seeded generator, or Hypothesis, which can then shrink what it found."""

import random
from collections.abc import Sequence
from typing import Protocol, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")


class Source(Protocol):
    def integer(self, low: int, high: int) -> int: ...


class Seeded:
    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def integer(self, low: int, high: int) -> int:
        return self._random.randint(low, high)


class Drawn:
    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def integer(self, low: int, high: int) -> int:
        return self._draw(st.integers(low, high))


def choice(source: Source, options: Sequence[T]) -> T:
    return options[source.integer(0, len(options) - 1)]


def chance(source: Source, percent: int) -> bool:
    """True this often; the smallest draw is the plain case, so that shrinking leads there."""
    return source.integer(0, 99) >= 100 - percent


def weighted(source: Source, options: Sequence[tuple[int, T]]) -> T:
    """One of the options, as often as its weight says; the first is the plain one."""
    left = source.integer(0, sum(weight for weight, _ in options) - 1)
    for weight, option in options:
        left -= weight
        if left < 0:
            return option
    raise AssertionError("the weights add up")


def subset(source: Source, options: Sequence[T], percent: int) -> list[T]:
    return [option for option in options if chance(source, percent)]
