"""The rows that a changelog partition must have, recomputed from the log by the engagement stage itself.

Theory of operation. The stage is pure: fed the records of its partition it produces outputs and rows, whoever feeds it
and however the records are cut into batches. Here it is fed from the log up to an exact offset, with its clock off -
what the wall clock led to is in the log already - and its outputs are withheld: they were written when the workers
passed that way. What is left are the rows, the last one of a key counting, as in a compacted topic.

The rules that applied before the log's first catalog record are the ones that this record names: the first worker
writes it when it has caught up.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from pydantic import ValidationError

from schemas.catalog import Catalog
from schemas.control import CONTROL_HEADER, CatalogChange, decode_control
from schemas.dead_letter import Rejected
from schemas.transition import WireTransition, decode_transition
from streams.engagement.stage import EngagementConfig, EngagementStage
from streams.engine.program import Program, compile_catalog
from streams.engine.rules.errors import CatalogError
from streams.rebuild.log import LogRecord
from streams.runtime.rejects import UNLIMITED
from streams.topics import Topics

BATCH_RECORDS: Final = 5_000

Rows = dict[bytes, bytes | None]


class Recomputation:
    """One partition's rows: from stored ones, from the records it is fed in order, or both.

    `rows` is what the changelog must say. What concerns every account is brought through all of them at the end
    (`settle`): the runtime does that in slices, so that a changelog may have been read in the middle of it.
    """

    def __init__(
        self, partition: int, partitions: int, topics: Topics, program: Program, told: Mapping[str, int] | None = None
    ) -> None:
        """`told`: the sequence that was published last, by account; transitions beyond it are kept in `untold`."""
        config = EngagementConfig(program, topics, partitions, clock="off", clock_hold_ms=0, rejects=UNLIMITED)
        self._stage = EngagementStage(partition, config)
        self._transitions = topics.transitions
        self._told = told
        self.rows: Rows = {}
        self.untold: dict[str, list[WireTransition]] = {}

    @property
    def program(self) -> Program:
        """The rules in force where the records end."""
        return self._stage.program

    def restore(self, rows: Mapping[bytes, bytes | None]) -> None:
        """Begin with these rows."""
        for key, value in rows.items():
            self._stage.restore(key, value)
        self._stage.restored()
        self.rows.update(rows)

    def feed(self, records: Iterable[LogRecord]) -> None:
        batch: list[LogRecord] = []
        for record in records:
            batch.append(record)
            if len(batch) == BATCH_RECORDS:
                self._take(batch)
                batch = []
        self._take(batch)

    def settle(self) -> None:
        """Bring every account through what concerns all of them."""
        while self._stage.has_backlog():
            self._stage.work_off()
            self._keep_rows()

    def _take(self, batch: list[LogRecord]) -> None:
        self._stage.apply(batch)
        self._keep_rows()

    def _keep_rows(self) -> None:
        drained = self._stage.drain()
        self.rows.update(drained.changes)
        if self._told is not None:
            for output in drained.outputs:
                if output.topic == self._transitions:
                    self._keep_untold(decode_transition(output.value or b""), self._told)

    def _keep_untold(self, transition: WireTransition, told: Mapping[str, int]) -> None:
        if transition.sequence > told.get(transition.account_id, 0):
            self.untold.setdefault(transition.account_id, []).append(transition)


def first_program(records: Iterable[LogRecord], otherwise: Callable[[], Program]) -> Program:
    """The rules that a log begins under."""
    for change in _catalog_changes(records):
        if change.content is not None:
            try:
                program = compile_catalog(Catalog.model_validate(change.content), f"catalog {change.version}")
            except (ValidationError, CatalogError):
                continue  # the stage refuses it as well
            if program.version == change.version:
                return program
    return otherwise()


def _catalog_changes(records: Iterable[LogRecord]) -> Iterator[CatalogChange]:
    for record in records:
        kind = next((value for name, value in record.headers if name == CONTROL_HEADER), None)
        if kind is not None:
            try:
                control = decode_control(kind, record.value)
            except Rejected:
                continue
            if isinstance(control, CatalogChange):
                yield control
