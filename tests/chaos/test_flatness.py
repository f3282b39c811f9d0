"""Laws of the soak's verdict: a leak is seen through noise, and noise is no leak."""

import random

from tests.chaos.flatness import Growth, Sample, growth

RNG = random.Random(20261122)
MINUTES_10 = 600


def series(leak_kb_per_s: float = 0.0, files_per_s: float = 0.0) -> list[Sample]:
    """A worker of 120 MB that breathes by 4 MB, with a peak of 60 MB now and then."""
    return [
        Sample(
            at_s,
            int(120_000 + leak_kb_per_s * at_s + RNG.uniform(-2_000, 2_000) + (60_000 if at_s % 97 < 4 else 0)),
            int(30 + files_per_s * at_s + RNG.choice((0, 0, 0, 2))),
            12,
        )
        for at_s in range(0, MINUTES_10, 2)
    ]


def test_noise_and_peaks_are_no_leak() -> None:
    assert growth(series()).leaks == ()


def test_memory_that_rises_by_a_megabyte_a_minute_is_a_leak() -> None:
    (leak,) = growth(series(leak_kb_per_s=1_000 / 60)).leaks
    assert leak.startswith("memory")


def test_a_file_a_minute_is_a_leak() -> None:
    (leak,) = growth(series(files_per_s=1 / 60)).leaks
    assert leak.startswith("open files")


def test_what_shrinks_is_no_leak() -> None:
    assert Growth(600, -50_000, 100_000, -20, -3).leaks == ()
