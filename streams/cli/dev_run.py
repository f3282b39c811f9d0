"""`pegel dev run`: the whole of Pegel on this machine, on real events, shown as it happens."""

import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from streams.cli.options import BootstrapOption, ConfigOption, loaded_settings, say
from streams.errors import SettingsError

if TYPE_CHECKING:
    from streams.dev.demo.run import Demo

DEMO_FOLDER: Final = Path("deploy/demo")
REFRESH_PER_S: Final = 4
PLAIN_EVERY_S: Final = 5.0
LINES_PER_S_MAX: Final = 10


def run(
    events: Annotated[
        Path, typer.Argument(metavar="[FILE]", help="Events to play, NDJSON plain or gzip.")
    ] = DEMO_FOLDER / "oss-activity.ndjson.gz",
    catalog: Annotated[str, typer.Option(metavar="NAME|FILE", help="Rules.")] = "oss",
    playbook: Annotated[Path, typer.Option(metavar="FILE", help="Who is told what.")] = DEMO_FOLDER / "playbook.yaml",
    once: Annotated[
        bool, typer.Option("--once", help="End when everything published has been decided and delivered.")
    ] = False,
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
) -> None:
    """Start a broker, the topics, the workers and a stand-in for Slack; publish events; show what happens.

    The history is published at full speed, then its last seven days in half a minute. Ctrl-C ends everything.
    """
    from streams.dev.demo.run import Demo, DemoOptions  # noqa: PLC0415

    for file in (events, playbook):
        if not file.is_file():
            raise SettingsError(f"{file}: no such file; run from the project's folder, or name one")
    loaded = loaded_settings(config, bootstrap)
    given = loaded.settings.kafka.bootstrap if "kafka.bootstrap" in loaded.origins else None
    options = DemoOptions(events=events, playbook=playbook.absolute(), catalog=catalog, once=once)
    terminal = sys.stdout.isatty()
    demo = Demo(loaded.settings, given, options, say, (lambda _: None) if terminal else _LinePrinter())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: demo.stop.set())
    well = _shown(demo) if terminal else _told(demo)
    say(demo.board.summary())
    raise typer.Exit(0 if well else 1)


def _shown(demo: "Demo") -> bool:
    """Run with a live table."""
    from rich.live import Live  # noqa: PLC0415

    def picture() -> Any:
        with demo.lock:
            return demo.board.picture()

    with Live(get_renderable=picture, refresh_per_second=REFRESH_PER_S, screen=False):
        return demo.run()


def _told(demo: "Demo") -> bool:
    """Run with a line of figures now and then; transitions are lines on standard output."""
    done = threading.Event()

    def tell() -> None:
        while not done.wait(PLAIN_EVERY_S):
            with demo.lock:
                phase, summary = demo.board.figures.phase, demo.board.summary()
            say(f"{phase}: {summary}")

    thread = threading.Thread(target=tell, name="figures", daemon=True)
    thread.start()
    try:
        return demo.run()
    finally:
        done.set()
        thread.join()


class _LinePrinter:
    """Writes transitions to standard output, at most so many a second: history comes in thousands."""

    def __init__(self) -> None:
        self._second = 0
        self._written = 0

    def __call__(self, transition: Any) -> None:
        from streams.dev.demo.board import line_of  # noqa: PLC0415

        second = int(time.monotonic())
        if second != self._second:
            self._second, self._written = second, 0
        self._written += 1
        if self._written <= LINES_PER_S_MAX:
            sys.stdout.write(line_of(transition) + "\n")
            sys.stdout.flush()
