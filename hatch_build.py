"""Compiles the engine if a wheel is built with PEGEL_COMPILE=1; a wheel without it is plain Python and does the same.

The same typed source serves both: mypyc makes C extensions of the modules below, which lie in the wheel beside the
Python files and are imported in their place. What is not on the list is no hot path, is a value that msgspec decodes,
or divides whole numbers beyond 2^53, where mypyc rounds otherwise (`streams.engine.rules.linear`).
"""

import os
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VARIABLE = "PEGEL_COMPILE"
GROUP = "pegel_compiled"
MODULES = (
    "schemas/timestamps.py",
    "schemas/wire.py",
    "streams/engagement/clock.py",
    "streams/engagement/events.py",
    "streams/engagement/grouping.py",
    "streams/engagement/members.py",
    "streams/engagement/records.py",
    "streams/engine/account.py",
    "streams/engine/apply.py",
    "streams/engine/calendar.py",
    "streams/engine/clock.py",
    "streams/engine/codec.py",
    "streams/engine/columns.py",
    "streams/engine/compact.py",
    "streams/engine/days.py",
    "streams/engine/deadlines.py",
    "streams/engine/decision.py",
    "streams/engine/forecast.py",
    "streams/engine/found.py",
    "streams/engine/live.py",
    "streams/engine/measures.py",
    "streams/engine/message_ids.py",
    "streams/engine/naming.py",
    "streams/engine/operations.py",
    "streams/engine/outgoing.py",
    "streams/engine/partition.py",
    "streams/engine/population.py",
    "streams/engine/program.py",
    "streams/engine/ranking.py",
    "streams/engine/record.py",
    "streams/engine/rules/conditions.py",
    "streams/engine/rules/judge.py",
    "streams/engine/rules/readings.py",
    "streams/engine/rules/slots.py",
    "streams/engine/rules/values.py",
    "streams/engine/rules/view.py",
    "streams/engine/shared.py",
    "streams/engine/sleepers.py",
    "streams/engine/switch.py",
    "streams/engine/transitions.py",
    "streams/engine/windows.py",
    "streams/engine/working.py",
    "streams/intake/identity.py",
    "streams/intake/stage.py",
    "streams/replay/population.py",
    "streams/replay/run.py",
    "streams/replay/spool.py",
    "streams/replay/take.py",
    "streams/runtime/partitioner.py",
    "streams/runtime/record_batch.py",
)
MYPY = ["--ignore-missing-imports", "--follow-imports=silent", "--config-file="]


class CompileHook(BuildHookInterface):
    """Hatchling's hook; its name is what hatchling looks for."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the extensions to a wheel that is to be compiled."""
        if version != "standard" or os.environ.get(VARIABLE) != "1":
            return
        for file in self._compiled():
            build_data["force_include"][str(file)] = file.name if file.name.startswith(GROUP) else self._place(file)
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def _compiled(self) -> list[Path]:
        from mypyc.build import mypycify  # noqa: PLC0415 - only needed here, and only installed where wheels are compiled
        from setuptools import Distribution  # noqa: PLC0415
        from setuptools.command.build_ext import build_ext  # noqa: PLC0415

        os.chdir(self.root)
        sys.path.insert(0, self.root)
        self._out = Path(self.root, "build", "extensions")
        extensions = mypycify([*MYPY, *MODULES], opt_level="3", debug_level="0", group_name="pegel")
        command = build_ext(Distribution({"name": "pegel", "ext_modules": extensions}))
        command.build_lib = str(self._out / "lib")
        command.build_temp = str(self._out / "objects")
        command.ensure_finalized()
        command.run()
        return [Path(file) for file in command.get_outputs()]

    def _place(self, file: Path) -> str:
        return str(file.relative_to(self._out / "lib"))
