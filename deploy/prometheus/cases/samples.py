"""Samples in promtool's notation."""

NOTHING = "_"


def counter(*pieces: tuple[int, float]) -> str:
    """One that grows: for so many steps, by so much each. It begins at 0."""
    value, shown = 0.0, ["0"]
    for steps, growth in pieces:
        shown.append(f"{value + growth:g}+{growth:g}x{steps - 1}")
        value += steps * growth
    return " ".join(shown)


def level(*pieces: tuple[int, float]) -> str:
    """One that stands: for so many steps, at so much."""
    return " ".join(f"{value:g}+0x{steps - 1}" for steps, value in pieces)


def gone(steps: int) -> str:
    """No samples."""
    return f"{NOTHING}x{steps}"
