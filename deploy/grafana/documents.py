"""Which boards there are, and what is committed of them."""

from collections.abc import Iterator
from typing import Final

from deploy.grafana import delivery, engine, kafka, overview, segments
from deploy.grafana.board import Board
from deploy.grafana.draw import as_json

FOLDER: Final = "dashboards"


def boards() -> list[Board]:
    return [module.board() for module in (overview, engine, delivery, segments, kafka)]


def committed() -> Iterator[tuple[str, str]]:
    """Path below this folder and content of every file that is made from it."""
    for board in boards():
        yield f"{FOLDER}/{board.uid}.json", as_json(board)
