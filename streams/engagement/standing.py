"""The operations that have not reached all accounts of a partition, in the words of its row, and back."""

from functools import lru_cache
from typing import Final, assert_never

import msgspec

from schemas.catalog import Catalog
from streams.engagement.rows import PendingRow
from streams.engine.operations import Advance, Basis, Forget, Govern, Operation, Rank
from streams.engine.population import Thresholds
from streams.engine.program import Program, compile_catalog
from streams.engine.ranking import Ranking

PROGRAMS_MAX: Final = 4


@lru_cache(maxsize=PROGRAMS_MAX)
def stored_program(catalog: bytes) -> Program:
    """The program of a stored catalog. The partitions of a worker, dozens of them, have one in common.

    Raises:
        CatalogError: this version cannot use a catalog that an earlier one could.
    """
    return compile_catalog(Catalog.model_validate(msgspec.msgpack.decode(catalog)), "the catalog in force")


def stored_percentiles(thresholds: Thresholds) -> dict[str, list[float]]:
    return {name: list(found) for name, found in thresholds.percentiles.items()}


def row_of(number: int, operation: Operation) -> PendingRow:
    """An operation as it is stored."""
    match operation:
        case Advance():
            return PendingRow(number, until=operation.until)
        case Rank():
            found = operation.thresholds
            return PendingRow(number, ranked_at=found.at_ms, percentiles=stored_percentiles(found))
        case Govern():
            catalog = operation.program.packed
            return PendingRow(number, at=operation.at_ms, catalog=catalog, announce=operation.announce)
        case Forget():
            return PendingRow(number, user=operation.user)
        case _:
            assert_never(operation)


def operations_of(rows: list[PendingRow], basis: Basis) -> list[tuple[int, Operation]]:
    """Stored operations, `basis` being what applies before the first of them."""
    operations = []
    for row in rows:
        operation = _operation_of(row, basis.program)
        operations.append((row.number, operation))
        basis = operation.after(basis)
    return operations


def _operation_of(row: PendingRow, program: Program) -> Operation:
    if row.until is not None:
        return Advance(row.until)
    if row.ranked_at is not None and row.percentiles is not None:
        return Rank.of(Thresholds(row.ranked_at, row.percentiles), Ranking(program))
    if row.catalog is not None and row.at is not None:
        return Govern(stored_program(row.catalog), row.at, row.announce)
    assert row.user is not None, "a stored operation is one of four"
    return Forget(row.user)
