"""RESULTS.md and results.json: what was measured, on what, by which commands."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.figures import Figure, Row
from benchmarks.rig import ROOT, Interpreter

RESULTS: Final = Path(__file__).with_name("RESULTS.md")
RESULTS_JSON: Final = Path(__file__).with_name("results.json")
LIBRARIES: Final = ("aiokafka", "confluent-kafka", "faust-streaming", "msgspec")
PYTHON_PROBE: Final = "import platform; print(platform.python_implementation(), platform.python_version())"


def number(value: float) -> str:
    """Three digits that count, and no powers of ten."""
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def measured(figure: Figure) -> str:
    if len(figure.runs) == 1:
        return number(figure.median)
    return f"{number(figure.median)} ({number(min(figure.runs))} to {number(max(figure.runs))})"


def bound(figure: Figure, value: float | None) -> str:
    return "" if value is None else f"{'≥' if figure.more_is_better else '≤'} {value:,g}"


def figure_line(figure: Figure) -> str:
    beside = "".join(f"; {name} {value}" for name, value in figure.beside.items())
    target = f", target {bound(figure, figure.target)}: {figure.verdict}" if figure.target is not None else ""
    return f"{figure.what}: {measured(figure)} {figure.unit}{target}{beside}"


def circumstances(interpreter: Interpreter) -> dict[str, str]:
    """What the figures hold for."""
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release()}",
        "Python": _output([interpreter.executable, "-c", PYTHON_PROBE]),
        "engine": "compiled" if interpreter.is_compiled else "pure Python",
        "libraries": ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
        "broker": f"Apache Kafka from jars, {_java()}, one broker on the same machine",
        "revision": _output(["git", "-C", str(ROOT), "describe", "--always", "--dirty"]),
    }


def keep(row: Row, figures: Sequence[Figure], facts: Mapping[str, str], command: str, load: float) -> None:
    """Replace what is known of a row, and write the page anew; other rows stay as they were measured."""
    known = json.loads(RESULTS_JSON.read_text(encoding="utf-8")) if RESULTS_JSON.exists() else {}
    known[row.name] = {
        "command": command,
        "circumstances": {**facts, "load average before": f"{load:.1f}"},
        "figures": [{**asdict(one), "median": one.median, "verdict": one.verdict} for one in figures],
    }
    RESULTS_JSON.write_text(json.dumps(known, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_page(rows: Sequence[Row]) -> None:
    """RESULTS.md, from all that is known."""
    known = json.loads(RESULTS_JSON.read_text(encoding="utf-8")) if RESULTS_JSON.exists() else {}
    found = [(row, known[row.name]) for row in rows if row.name in known]
    common = _common([entry["circumstances"] for _, entry in found])
    lines = ["# Measured", "", "Written by `make bench`. Medians; in brackets the least and the greatest run.", ""]
    lines += [f"* {name}: {value}" for name, value in common.items()]
    lines += ["", "| what | unit | target | stretch | measured | |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {one.what} | {one.unit} | {bound(one, one.target)} | {bound(one, one.stretch)} | {measured(one)} "
        f"| {one.verdict} |"
        for _, entry in found
        for one in _figures(entry)
    ]
    lines += ["", "## How each was measured"]
    for row, entry in found:
        own = {name: value for name, value in entry["circumstances"].items() if name not in common}
        lines += ["", f"**{row.title}** (`{entry['command']}`). {row.how}"]
        lines += ["", *(f"* {name}: {value}" for name, value in own.items())]
        for one in _figures(entry):
            if one.beside:
                seen = "; ".join(f"{name} {_shown(value)}" for name, value in one.beside.items())
                lines.append(f"* {one.what}: {seen}")
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _common(circumstances: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """What was equal for all rows."""
    if not circumstances:
        return {}
    first, *others = circumstances
    return {name: value for name, value in first.items() if all(one.get(name) == value for one in others)}


def _figures(entry: Mapping[str, Any]) -> list[Figure]:
    return msgspec.convert(entry["figures"], list[Figure])


def _shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _java() -> str:
    done = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False)  # noqa: S607 - as found on the path
    return done.stderr.splitlines()[0] if done.stderr else "Java"


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
