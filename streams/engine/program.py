"""A catalog made executable: tables and functions that the engine reads on each event, made once per catalog version.

Segments are numbered by their place in the catalog; sets of segments are bit masks. A *unit* is what changes at most
once in an evaluation: a segment on its own, or a group. Units whose rules ask for member() of others are decided after
them: strata, each with a judge of its own (`rules.judge`).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, final

import msgspec

from schemas.catalog import Aggregate, Catalog, Segment
from streams.engine.calendar import DAY_MS, Calendar, calendar_of
from streams.engine.naming import Names, names_of_catalog
from streams.engine.rules.compile import (
    Rule,
    compile_evidence,
    compile_judge,
    compile_parts,
    compile_values,
    compile_where,
)
from streams.engine.rules.errors import CatalogError, RuleError
from streams.engine.rules.expression import Node
from streams.engine.rules.judge import Judge, Named, Parts, Where
from streams.engine.rules.parse import Scope, parse_condition, parse_value
from streams.engine.rules.slots import Slots
from streams.engine.rules.vocabulary import RESERVED_NAMES, WHERE

if TYPE_CHECKING:
    from streams.engine.account import Account
    from streams.engine.working import Working

VERSION_HEX_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class Unit:
    """A segment on its own (`group` is None) or a whole group."""

    group: str | None
    mask: int


@final
class Stratum:
    """What is decided together. `groups`: the masks of its groups; `singles`: that of the segments in none."""

    __slots__ = ("groups", "judge", "mask", "singles")

    def __init__(self, judge: Judge, units: Sequence[Unit]) -> None:
        self.judge = judge
        self.mask = sum(unit.mask for unit in units)
        self.singles = sum(unit.mask for unit in units if unit.group is None)
        self.groups = [unit.mask for unit in units if unit.group is not None]


@final
class Prospect:
    """A program cut down to what decides one unit. `figures`: those of its windows, by number in the whole one."""

    __slots__ = ("figures", "mask", "program")

    def __init__(self, unit: Unit, program: "Program", whole: "Program") -> None:
        self.mask = unit.mask
        self.program = program
        self.figures = program.slots.figures_in(whole.slots)


class _Lazy:
    """What is compiled when it is first asked for. Names as in `Program`."""

    def __init__(self) -> None:
        self.packed: bytes | None = None
        self.definitions: Named | None = None
        self.evidence: list[Named] | None = None
        self.parts: list[Parts] | None = None
        self.prospects: list[Prospect] | None = None


@dataclass(frozen=True, eq=False)
class Program:
    """Everything the engine needs to know of a catalog. Compare by `version`."""

    catalog: Catalog
    version: str
    calendar: Calendar
    trial_ms: int
    names: Names
    core_features: Mapping[str, int]  # name -> place; signals are left out
    aggregates: Mapping[str, Aggregate]  # of each measure
    steps: Mapping[str, tuple[tuple[str, int], ...]]  # event -> (step key, count)
    step_keys: tuple[str, ...]  # one per entry of the checklist, which may repeat itself
    team_path: tuple[str, ...]
    account_facts: tuple[str, ...]  # the traits that go out with transitions
    segments: tuple[Segment, ...]
    ids: tuple[str, ...]  # of the segments
    groups: tuple[str | None, ...]  # of the segments
    rules: tuple[Rule, ...]
    bits: Mapping[str, int]
    units: tuple[Unit, ...]  # in catalog order
    strata: tuple[Stratum, ...]
    has_exit: int
    dwell_ms: tuple[int, ...]
    cooldown_ms: tuple[int, ...]
    slots: Slots
    definition_nodes: Mapping[str, Node]

    _lazy: _Lazy = field(default_factory=_Lazy)

    def with_slots(self, slots: Slots) -> "Program":
        """The same for working sets that keep other windows."""
        return replace(self, slots=slots, _lazy=_Lazy())

    @property
    def content(self) -> dict[str, Any]:
        """The whole catalog as plain values, as it is stored and sent; an entry that says the default says nothing.

        So a worker that does not know an entry yet reads the catalogs that do not use it.
        """
        return self.catalog.model_dump(mode="json", exclude_defaults=True)

    @property
    def packed(self) -> bytes:
        """`content` as msgpack: every flush stores it, so it is made once."""
        lazy = self._lazy
        if lazy.packed is None:
            lazy.packed = msgspec.msgpack.encode(self.content)
        return lazy.packed

    def definitions(self, account: "Account", working: "Working", now: int, members: int) -> dict[str, Any]:
        """The values of all definitions, by name."""
        lazy = self._lazy
        if lazy.definitions is None:
            lazy.definitions = compile_values(self.definition_nodes, self.slots, self.bits)
        return lazy.definitions(account, working, now, members)

    @property
    def evidence(self) -> list[Named]:
        """Per segment: what its conditions see."""
        lazy = self._lazy
        if lazy.evidence is None:
            lazy.evidence = [compile_evidence(rule, self.slots, self.bits) for rule in self.rules]
        return lazy.evidence

    @property
    def parts(self) -> list[Parts]:
        """Per segment: which top-level parts of its rules hold."""
        lazy = self._lazy
        if lazy.parts is None:
            lazy.parts = [compile_parts(rule, self.slots, self.bits) for rule in self.rules]
        return lazy.parts

    @property
    def prospects(self) -> list[Prospect]:
        """Per segment: this program cut down to the segment's unit and those whose members it asks for."""
        lazy = self._lazy
        if lazy.prospects is None:
            needs = _needs(self.rules, self.units)
            of_unit = {unit: Prospect(unit, _cut_down(self, unit, needs), self) for unit in self.units}
            lazy.prospects = [
                next(of_unit[unit] for unit in self.units if unit.mask >> bit & 1) for bit in range(len(self.segments))
            ]
        return lazy.prospects


def version_of(catalog: Catalog) -> str:
    """The content hash by which a catalog is known; an entry that says the default says nothing.

    So an upgrade that brings new entries leaves the versions of the catalogs in old logs as they are.
    """
    content = msgspec.json.encode(catalog.model_dump(mode="json", exclude_defaults=True), order="sorted")
    return hashlib.sha256(content).hexdigest()[:VERSION_HEX_DIGITS]


def compile_catalog(catalog: Catalog, place: str = "catalog") -> Program:
    """Check all rules of a catalog and make it executable.

    Raises:
        CatalogError: a rule, a reference or the time zone is wrong; names the entry, line and column.
    """
    try:
        calendar = calendar_of(catalog.timezone)
    except ValueError as error:
        raise CatalogError(f"{place}: timezone", str(error)) from None
    segments = tuple(segment for segment in catalog.segments if segment.enabled)
    bits = {segment.id: bit for bit, segment in enumerate(segments)}
    # A segment that is not enabled may still be asked for: it has no members.
    scope = Scope(
        frozenset(segment.id for segment in catalog.segments), catalog.definitions, frozenset(catalog.measures)
    )
    definitions = _parse_definitions(catalog, scope, place)
    rules = _parse_rules(segments, scope, place)
    conditions = [node for rule in rules for node in rule.conditions()]
    slots = Slots.of([*conditions, *definitions.values()])
    units = _units(segments)
    steps: dict[str, tuple[tuple[str, int], ...]] = {}
    for step in catalog.checklist:
        steps[step.event] = (*steps.get(step.event, ()), (f"{step.count}:{step.event}", step.count))
    core = [name for name in dict.fromkeys(catalog.core_features) if name not in catalog.signals]
    core_features = {name: place for place, name in enumerate(core)}
    return Program(
        catalog=catalog,
        version=version_of(catalog),
        calendar=calendar,
        trial_ms=round(catalog.trial_days * DAY_MS),
        names=names_of_catalog(catalog, slots, core_features, steps, _named_events(catalog, place)),
        core_features=core_features,
        aggregates={name: measure.aggregate for name, measure in catalog.measures.items()},
        steps=steps,
        step_keys=tuple(key for of_event in steps.values() for key, _ in of_event),
        team_path=tuple(catalog.team_property.split(".")),
        account_facts=tuple(catalog.account_facts),
        segments=segments,
        ids=tuple(segment.id for segment in segments),
        groups=tuple(segment.group for segment in segments),
        rules=rules,
        bits=bits,
        units=units,
        strata=_strata(rules, units, slots, bits, place),
        has_exit=sum(1 << rule.bit for rule in rules if rule.exit_when is not None),
        dwell_ms=tuple(round(segment.min_dwell_days * DAY_MS) for segment in segments),
        cooldown_ms=tuple(round(segment.cooldown_days * DAY_MS) for segment in segments),
        slots=slots,
        definition_nodes=definitions,
    )


def _named_events(catalog: Catalog, place: str) -> dict[str, tuple[tuple[str, Where], ...]]:
    """Per event its second names, in catalog order."""
    named: dict[str, tuple[tuple[str, Where], ...]] = {}
    scope = Scope(vocabulary=WHERE)
    for name, definition in catalog.events.items():
        if definition.event in catalog.events:
            message = f"{definition.event!r} is a named event itself: name the event that producers send"
            raise CatalogError(f"{place}: events: {name}", message)
        try:
            where = compile_where(parse_condition(definition.where, scope))
        except RuleError as error:
            raise _located(f"{place}: events: {name}: where", error) from None
        named[definition.event] = (*named.get(definition.event, ()), (name, where))
    return named


def _parse_definitions(catalog: Catalog, scope: Scope, place: str) -> dict[str, Node]:
    nodes = {}
    for name, text in catalog.definitions.items():
        if name in RESERVED_NAMES:
            message = "this name is taken by the rule vocabulary: choose another"
            raise CatalogError(f"{place}: definitions: {name}", message)
        try:
            nodes[name] = parse_value(text, scope)
        except RuleError as error:
            raise _located(f"{place}: definitions: {name}", error) from None
    return nodes


def _parse_rules(segments: tuple[Segment, ...], scope: Scope, place: str) -> tuple[Rule, ...]:
    rules = []
    for bit, segment in enumerate(segments):
        parsed: dict[str, Node | None] = {"when": None, "exit_when": None}
        for key in parsed:
            text = getattr(segment, key)
            if text is not None:
                try:
                    parsed[key] = parse_condition(text, scope)
                except RuleError as error:
                    raise _located(f"{place}: segment {segment.id!r}: {key}", error) from None
        when = parsed["when"]
        assert when is not None
        rules.append(Rule(segment.id, bit, when, parsed["exit_when"]))
    return tuple(rules)


def _located(place: str, error: RuleError) -> CatalogError:
    return CatalogError(f"{place}: line {error.line}, column {error.column}", error.message)


def _units(segments: tuple[Segment, ...]) -> tuple[Unit, ...]:
    masks: dict[tuple[str | None, str], int] = {}
    for bit, segment in enumerate(segments):
        key = (segment.group, "") if segment.group is not None else (None, segment.id)
        masks[key] = masks.get(key, 0) | 1 << bit
    return tuple(Unit(group, mask) for (group, _), mask in masks.items())


def _strata(
    rules: tuple[Rule, ...], units: tuple[Unit, ...], slots: Slots, bits: Mapping[str, int], place: str
) -> tuple[Stratum, ...]:
    level = _levels(rules, units, place)
    strata = []
    for height in range(max(level, default=0) + 1):
        inside = [unit for unit, at in zip(units, level, strict=True) if at == height]
        mask = sum(unit.mask for unit in inside)
        decided = [rule for rule in rules if mask >> rule.bit & 1]
        strata.append(Stratum(compile_judge(decided, slots, bits), inside))
    return tuple(strata)


def _levels(rules: tuple[Rule, ...], units: tuple[Unit, ...], place: str) -> list[int]:
    """For each unit the number of its stratum: one more than the highest unit that it asks member() of."""
    unit_of = {rule.bit: index for index, unit in enumerate(units) for rule in rules if unit.mask >> rule.bit & 1}
    needs = _needs(rules, units)
    levels: dict[int, int] = {}
    waiting = set(range(len(units)))
    while waiting:
        ready = [index for index in waiting if needs[index] <= levels.keys()]
        if not ready:
            names = sorted(rule.id for rule in rules if unit_of[rule.bit] in waiting)
            raise CatalogError(f"{place}: segments", f"member() goes round in a circle among {', '.join(names)}")
        for index in ready:
            levels[index] = 1 + max((levels[need] for need in needs[index]), default=-1)
        waiting -= set(ready)
    return [levels[index] for index in range(len(units))]


def _needs(rules: tuple[Rule, ...], units: tuple[Unit, ...]) -> list[set[int]]:
    """For each unit the units that its rules ask member() of, as indexes."""
    unit_of = {rule.id: index for index, unit in enumerate(units) for rule in rules if unit.mask >> rule.bit & 1}
    needs: list[set[int]] = [set() for _ in units]
    for rule in rules:
        asked = (term.event for node in rule.conditions() for term in node.terms() if term.name == "member")
        needs[unit_of[rule.id]] |= {unit_of[segment] for segment in asked if segment in unit_of}
    return needs


def _cut_down(program: Program, unit: Unit, needs: list[set[int]]) -> Program:
    """The program with this unit and those that it depends on, and no windows but theirs."""
    kept: set[int] = set()
    found = {program.units.index(unit)}
    while found:
        kept |= found
        found = {need for index in found for need in needs[index]} - kept
    units = tuple(program.units[index] for index in sorted(kept))
    mask = sum(kept_unit.mask for kept_unit in units)
    rules = tuple(rule for rule in program.rules if mask >> rule.bit & 1)
    slots = Slots.of([node for rule in rules for node in rule.conditions()])
    strata = _strata(rules, units, slots, program.bits, "catalog")
    return replace(program, rules=rules, units=units, strata=strata, slots=slots, _lazy=_Lazy())
