"""What is different between two catalogs: segments by id and field, maps by key, lists by what is in them.

A list's order matters nowhere but in segments and steps, so that two lists are compared as sets, and told as what was
added and removed; segments that only stand in another order are told as moved.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from schemas.catalog import Catalog
from streams.catalogs.describe import number


class Change(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    MOVED = "moved"


@dataclass(frozen=True, slots=True)
class Difference:
    """`section` as the catalog has it (`segments`, `weights`, ...); `name` of the entry, `field` of the part of it."""

    section: str
    name: str
    field: str
    change: Change
    old: Any = None
    new: Any = None

    def __str__(self) -> str:
        """A line as of a patch: `~ segments at_risk when: old -> new`."""
        place = " ".join(part for part in (self.section, self.name, self.field) if part)
        match self.change:
            case Change.ADDED:
                return f"+ {place}{_shown(self.new)}"
            case Change.REMOVED:
                return f"- {place}{_shown(self.old)}"
            case Change.MOVED if self.name:
                return f"> {place}: now {self.new}"
            case _:
                return f"~ {place}{_shown(self.old)} ->{_shown(self.new)[1:] or ' nothing'}"


_MAPS: Final = ("events", "measures", "definitions")
_LISTS: Final = ("core_features", "signals")


def differences(old: Catalog, new: Catalog) -> list[Difference]:
    """In the order of a catalog's entries. Empty exactly if both have one version."""
    before, after = old.model_dump(mode="json"), new.model_dump(mode="json")
    for plain, catalog in ((before, old), (after, new)):
        plain["weights"] = {name: number(weight) for name, weight in catalog.weights.items()}
        plain["checklist"] = {f"{step.event} >= {step.count}": None for step in catalog.checklist}
        plain["segments"] = {segment["id"]: segment for segment in plain["segments"]}
    found: list[Difference] = []
    for section in Catalog.model_fields:
        one, other = before[section], after[section]
        if section == "segments":
            found += [*_in_parts(section, one, other), *_moved(section, list(one), list(other))]
        elif section == "weights":
            found += _in_map(section, one, other)
        elif section in _MAPS:
            found += _in_parts(section, one, other)
        elif section in _LISTS:
            found += [*_in_map(section, dict.fromkeys(one), dict.fromkeys(other)), *_reordered(section, one, other)]
        elif section == "checklist":
            found += [*_in_map(section, one, other), *_reordered(section, list(one), list(other))]
        elif one != other:
            found.append(Difference(section, "", "", Change.CHANGED, one, other))
    return found


def _shown(value: Any) -> str:
    """What stands behind a colon; of a whole entry, its rule or what it counts."""
    if isinstance(value, dict):
        value = value.get("when") or ", ".join(f"{key} {part}" for key, part in value.items())
    if isinstance(value, list):
        value = ", ".join(map(str, value)) or "none"
    return "" if value is None or value == "" else f": {' '.join(str(value).split())}"


def _in_map(section: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[Difference]:
    for name in {**one, **other}:
        if name not in other:
            yield Difference(section, name, "", Change.REMOVED, old=one[name])
        elif name not in one:
            yield Difference(section, name, "", Change.ADDED, new=other[name])
        elif one[name] != other[name]:
            yield Difference(section, name, "", Change.CHANGED, one[name], other[name])


def _in_parts(section: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[Difference]:
    """Entries with fields of their own: what changed is told of each field."""
    for found in _in_map(section, one, other):
        if found.change is Change.CHANGED and isinstance(found.old, dict):
            for part in _in_map(section, found.old, found.new):
                yield Difference(section, found.name, part.name, Change.CHANGED, part.old, part.new)
        else:
            yield found


def _moved(section: str, one: list[str], other: list[str]) -> Iterator[Difference]:
    """Entries of both that must be moved to turn one order into the other: as few as can be."""
    places = {name: place for place, name in enumerate(one)}
    common = [name for name in other if name in places]
    kept = _longest_ascending([places[name] for name in common])
    for name in common:
        if places[name] not in kept:
            place = other.index(name)
            yield Difference(section, name, "", Change.MOVED, new=f"after {other[place - 1]}" if place else "first")


def _longest_ascending(places: list[int]) -> set[int]:
    """The longest ascending choice of them."""
    best: list[list[int]] = []  # per place the longest choice that ends with it
    longest: list[int] = []
    for place in places:
        before: list[int] = []
        for chosen in best:
            if chosen[-1] < place and len(chosen) > len(before):
                before = chosen
        best.append([*before, place])
        longest = max(longest, best[-1], key=len)
    return set(longest)


def _reordered(section: str, one: list[str], other: list[str]) -> Iterator[Difference]:
    if one != other and set(one) == set(other):
        yield Difference(section, "", "", Change.MOVED, one, other)
