"""Connectors of other packages: found by their entry points, loaded when a playbook names one, checked before use.

A package offers a connector as an entry point of the group `pegel.connectors`, whose name is the type that playbooks
write and whose value is a `ConnectorType`. Nothing of a package is imported for being installed: one that is broken
harms nobody who does not use it. What is wrong with it is said in one sentence that names the package.
"""

import re
from collections import defaultdict
from collections.abc import Collection
from importlib.metadata import EntryPoint, entry_points
from inspect import isclass
from typing import Final, Literal, get_args, get_origin

from schemas.playbook import Destination
from streams import log_events
from streams.connectors.contract import ConnectorType
from streams.errors import InvalidSchemaError

GROUP: Final = "pegel.connectors"
NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
REASON_CHARS_MAX: Final = 300


class ConnectorError(InvalidSchemaError):
    """A connector of another package cannot be used."""


def offered(built_in: Collection[str]) -> dict[str, list[EntryPoint]]:
    """What installed packages offer, by name. A name that is built in is not to be had."""
    found: dict[str, list[EntryPoint]] = defaultdict(list)
    for point in entry_points(group=GROUP):
        if point.name in built_in:
            log_events.CONNECTOR_SHADOWED.tell(package=_package(point), name=point.name)
        elif point not in found[point.name]:
            found[point.name].append(point)
    return dict(found)


def loaded(name: str, points: list[EntryPoint]) -> ConnectorType:
    """The connector of that name; raises ConnectorError."""
    if len(points) > 1:
        packages = ", ".join(sorted(_package(point) for point in points))
        raise ConnectorError(f"several packages have a connector {name!r}: {packages}; uninstall all but one")
    [point] = points
    where = f"the connector {name!r} of {_package(point)} cannot be used"
    try:
        found = point.load()
    except Exception as error:
        reason = " ".join(str(error).split())[:REASON_CHARS_MAX]
        raise ConnectorError(f"{where}: importing {point.value} fails with {type(error).__name__}: {reason}") from error
    problem = _problem(name, found)
    if problem:
        raise ConnectorError(f"{where}: {problem}")
    assert isinstance(found, ConnectorType)
    return found


def _problem(name: str, found: object) -> str:
    if not NAME.fullmatch(name):
        return "its name may hold lower-case letters, digits and _, a letter first"
    if not isinstance(found, ConnectorType):
        return f"its entry point is a {type(found).__name__}, not a ConnectorType"
    if found.name != name:
        return f"it calls itself {found.name!r}; entry point and ConnectorType must have one name"
    # The annotations say so, but nobody may have checked them.
    config: object = found.config
    build: object = found.build
    if not isclass(config) or not issubclass(config, Destination):
        return "its config is no subclass of schemas.playbook.Destination"
    if name not in _types(config):
        return f'its config must say type: Literal["{name}"]'
    return "" if callable(build) else "its build cannot be called"


def _types(config: type[Destination]) -> tuple[object, ...]:
    annotation = config.model_fields["type"].annotation
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.value
