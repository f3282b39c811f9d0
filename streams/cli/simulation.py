"""How `pegel catalog simulate` runs: both catalogs in one pass over the files, or each in a process of its own."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from streams.cli.options import settings_for
from streams.cli.progress import PROGRESS_EVERY_LINES, reading
from streams.errors import InvalidSchemaError, SettingsError

if TYPE_CHECKING:
    from streams.engine.program import Program
    from streams.replay.lines import LineReader
    from streams.replay.run import Resolve
    from streams.settings import IntakeSettings
    from streams.simulate.run import Ran


def time_of(text: str | None, option: str) -> int | None:
    from schemas.timestamps import parse_ms  # noqa: PLC0415 - slow to import, and `--help` needs none

    found = None if text is None else parse_ms(text)
    if text is not None and found is None:
        raise SettingsError(f"{option}: {text!r} is no RFC 3339 time; write it like 2026-03-01T00:00:00Z")
    return found


def simulation(
    references: Sequence[str], files: list[str], until_ms: int | None, config: Path | None, jobs: int
) -> "Ran":
    """Replay the files under each of the catalogs."""
    programs = [
        program_of_catalog(reference) for reference in references
    ]  # whatever is wrong is told before the work begins
    intake = settings_for(config).intake
    reader = reader_of(files)
    if jobs == 1:
        return _one_pass(programs, reader, intake, until_ms)
    if reader.bytes_total is None:
        raise SettingsError(
            "--jobs 2 reads the files twice, which standard input cannot be: name files, or use --jobs 1"
        )
    return _side_by_side(references, files, intake, until_ms, jobs)


def _one_pass(
    programs: "Sequence[Program]", reader: "LineReader", intake: "IntakeSettings", until_ms: int | None
) -> "Ran":
    from streams.simulate.run import simulated  # noqa: PLC0415 - as above

    with reading(reader, "simulate") as shown:

        def advance(count: int) -> None:
            if count % PROGRESS_EVERY_LINES == 0:
                shown()

        return simulated(programs, reader, partial(resolver, intake), until_ms, advance)


def _side_by_side(
    references: Sequence[str], files: list[str], intake: "IntakeSettings", until_ms: int | None, jobs: int
) -> "Ran":
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415 - as above
    from multiprocessing import get_context  # noqa: PLC0415

    from streams.simulate.run import Ran  # noqa: PLC0415

    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        runs = list(pool.map(partial(_alone, files=files, intake=intake, until_ms=until_ms), references))
    courses = tuple(course for run in runs for course in run.courses)
    return Ran(courses, runs[0].first_ms, runs[0].last_ms, max(run.rejected for run in runs))


def _alone(reference: str, files: list[str], intake: "IntakeSettings", until_ms: int | None) -> "Ran":
    from streams.simulate.run import simulated  # noqa: PLC0415 - as above

    return simulated([program_of_catalog(reference)], reader_of(files), partial(resolver, intake), until_ms)


def resolver(intake: "IntakeSettings") -> "Resolve":
    from streams.intake.identity_settings import identity_of  # noqa: PLC0415 - as above

    return identity_of(intake).take


def reader_of(files: list[str]) -> "LineReader":
    from streams.replay.lines import LineReader  # noqa: PLC0415 - as above

    try:
        return LineReader(files)
    except OSError as error:
        raise SettingsError(f"{error.filename}: {error.strerror}; name a file that can be read") from None


def program_of_catalog(reference: str) -> "Program":
    from streams.catalogs import InvalidCatalogError, load_program  # noqa: PLC0415 - as above

    try:
        return load_program(reference)
    except InvalidCatalogError as error:
        raise InvalidSchemaError(str(error)) from None
