"""The page on sizing shows what `pegel size` computes, and the figures that it computes with."""

import re
from pathlib import Path
from typing import Final

import pytest

from streams import sizing
from streams.cli import run
from streams.engine.partition import LIVE_ACCOUNTS_MAX
from streams.limits import LEARNED_USERS_MAX
from streams.settings import load
from streams.sizing import Load, Size, size

ROOT: Final = Path(__file__).parents[3]
PAGE: Final = (ROOT / "docs" / "sizing.md").read_text()
EXAMPLES: Final = (
    Load(500, 20_000, 20_000, 200_000, kept_days=100),
    Load(2_000, 100_000, 100_000, 1_000_000, kept_days=100),
    Load(20_000, 1_000_000, 1_000_000, 10_000_000, kept_days=100),
    Load(100_000, 10_000_000, 5_000_000, 100_000_000, kept_days=30),
    Load(1_000_000, 100_000_000, 100_000_000, 1_000_000_000, kept_days=7),
)


def row(load: Load) -> str:
    found: Size = size(load)
    cells = (
        f"{load.events_per_s:,}", f"{load.accounts:,}", f"{load.active_accounts:,}",
        f"{found.engagement_workers} x {found.engagement_memory_bytes / 1e9:.1f} GB",
        f"{found.intake_workers} x {found.intake_memory_bytes / 1e9:.1f} GB",
        f"{found.partitions}", f"{found.network_bytes_per_s / 1e6:,.0f} MB/s",
        f"{found.log_bytes / 1e12:,.1f} TB in {load.kept_days} d", f"{found.changelog_bytes / 1e9:,.2f} GB",
        f"{found.restart_s:.1f} s", f"{found.transactions_per_s:,}",
    )  # fmt: skip
    return "| " + " | ".join(cells) + " |"


@pytest.mark.parametrize("load", EXAMPLES, ids=lambda load: f"{load.events_per_s}")
def test_an_example_is_what_is_computed(load: Load) -> None:
    assert row(load) in PAGE, f"out of date: write\n{row(load)}"


@pytest.mark.parametrize(
    "figure",
    [
        f"{sizing.ENGAGEMENT_CPU_S_PER_MILLION:g} processor seconds",
        f"{sizing.INTAKE_CPU_S_PER_MILLION:g} processor seconds",
        f"{sizing.FIRST_TOUCH_FACTOR:g} times",
        f"{sizing.START_S:g} s",
        f"{sizing.RECOVERY_ACCOUNTS_PER_S:,} accounts a second",
        f"{sizing.IDLE_ACCOUNT_BYTES:,} B",
        f"{sizing.LIVE_ACCOUNT_BYTES:,} B",
        f"{sizing.ROW_BYTES:,} B",
        f"{sizing.TRANSITIONS_PER_EVENT:g} transitions",
        f"{sizing.TRANSITION_BYTES:,} B",
        f"{sizing.USER_BYTES:,} B",
        f"{sizing.WORKER_BYTES // 10**6} MB",
        f"{LIVE_ACCOUNTS_MAX:,} that a worker keeps decoded",
        f"at most {LEARNED_USERS_MAX:,} users a partition",
        f"{sizing.BUSY_SHARE:.0%}".replace("%", " %"),
    ],
)
def test_a_figure_on_the_page_is_the_one_that_is_computed_with(figure: str) -> None:
    assert figure in PAGE


def test_the_output_that_is_shown_is_what_the_command_says(capsys: pytest.CaptureFixture[str]) -> None:
    (command, shown) = re.findall(r"```sh\npegel (size [^\n]+)\n```\n\n```\n(.*?)```", PAGE, re.DOTALL)[0]
    assert run(command.split()) == 0

    assert capsys.readouterr().out == shown


def test_the_production_overlay_is_for_the_example_that_the_page_names() -> None:
    settings = load(ROOT / "deploy" / "kubernetes" / "overlays" / "production" / "pegel.yaml").settings
    example = EXAMPLES[1]

    assert settings.kafka.partitions == size(example).partitions
    assert settings.kafka.replication_factor == example.replication
    assert settings.topics.event_retention_days == example.kept_days
    assert (
        f"--events {example.events_per_s} --accounts {example.accounts} --kept-days {example.kept_days}"
        in (ROOT / "deploy" / "kubernetes" / "overlays" / "production" / "pegel.yaml").read_text()
    )
