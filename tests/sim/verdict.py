"""What must hold: during a run at every commit, and of everything that can be read once the run has come to rest."""

from collections import Counter, defaultdict

from streams.runtime.ending import Ending
from streams.runtime.position import POSITION_KEY, decode_position
from tests.sim.cluster import CHANGELOG, INPUT, OUTPUT, Cluster
from tests.sim.transactions import Decided


class Violation(Exception):  # noqa: N818 - the verdict
    """A promise was broken."""


class Witness:
    """Watches commits as they are decided."""

    def __init__(self) -> None:
        self._owners: dict[int, tuple[int, int]] = {}
        self._reached: dict[int, int] = {}
        self.commits = 0

    def on_init(self, transactional_id: str, producer: int, epoch: int) -> None:
        self._owners[partition_of_id(transactional_id)] = producer, epoch

    def on_commit(self, decided: Decided) -> None:
        """Only the newest owner commits; rows, position and offset are one, and never fall."""
        if not any(decided.records.values()) and not decided.offsets:
            return  # opened anew by a request that came late, and empty: nothing becomes visible
        self.commits += 1
        number = partition_of_id(decided.id)
        if self._owners.get(number) != (decided.producer, decided.epoch):
            raise Violation(f"partition {number}: a commit from a fenced epoch, {decided.epoch} of {decided.id}")
        rows = decided.records.get((CHANGELOG, number), [])
        if not rows or rows[-1].key != POSITION_KEY:
            raise Violation(f"partition {number}: a commit without its position row")
        position = decode_position(rows[-1].value).next
        if decided.offsets != {number: position}:
            raise Violation(f"partition {number}: position row {position}, offsets {decided.offsets}")
        if position < self._reached.get(number, 0):
            raise Violation(f"partition {number}: position {position} after {self._reached[number]}")
        self._reached[number] = position


def partition_of_id(transactional_id: str) -> int:
    return int(transactional_id.rpartition(".")[2])


def input_ends(cluster: Cluster) -> dict[int, int]:
    """Where each partition is done: after its last committed record."""
    ends = {}
    for number in range(cluster.partitions):
        records = cluster.logs[INPUT, number].committed()
        ends[number] = records[-1].offset + 1 if records else 0
    return ends


def offsets_have_ended(cluster: Cluster) -> bool:
    committed = cluster.group.committed
    return not any(log.open for log in cluster.logs.values()) and all(
        committed.get(number, 0) == end for number, end in input_ends(cluster).items()
    )


def positions_have_ended(cluster: Cluster) -> bool:
    """Without transactions the rows alone tell: an offset that was committed earlier may come in later."""
    return all(_ending(cluster, number).position.next == end for number, end in input_ends(cluster).items())


def _ending(cluster: Cluster, number: int) -> Ending:
    ending = Ending()
    ending.look(cluster.logs[CHANGELOG, number].committed())
    return ending


def require_exactly_once(cluster: Cluster) -> None:
    """Outputs per key are 1 to n, the state says n, and position row, offset and end agree."""
    counts, totals = _counts(cluster), _totals(cluster)
    for key, count in counts.items():
        if totals[key] != list(range(1, count + 1)):
            raise Violation(f"{key!r} came {count} times; its totals went out as {totals[key]}")
    if totals.keys() - counts.keys():
        raise Violation(f"outputs for keys that never came: {totals.keys() - counts.keys()}")
    _require_state(cluster, counts)


def _counts(cluster: Cluster) -> "Counter[bytes | None]":
    return Counter(
        entry.key for number in range(cluster.partitions) for entry in cluster.logs[INPUT, number].committed()
    )


def _totals(cluster: Cluster) -> dict[bytes | None, list[int]]:
    totals: dict[bytes | None, list[int]] = defaultdict(list)
    for number in range(cluster.partitions):
        for entry in cluster.logs[OUTPUT, number].committed():
            totals[entry.key].append(int(entry.value or b""))
    return totals


def _require_state(cluster: Cluster, counts: "Counter[bytes | None]") -> None:
    rows: dict[bytes | None, bytes | None] = {}
    for number, end in input_ends(cluster).items():
        position = 0
        for entry in cluster.logs[CHANGELOG, number].committed():
            if entry.key == POSITION_KEY:
                position = decode_position(entry.value).next
            else:
                rows[entry.key] = entry.value
        if not position == cluster.group.committed.get(number, 0) == end:
            offset = cluster.group.committed.get(number)
            raise Violation(f"partition {number}: position row {position}, offset {offset}, end {end}")
    if {key: row for key, row in rows.items() if row is not None} != {key: b"%d" % one for key, one in counts.items()}:
        raise Violation(f"state {rows}, counted {dict(counts)}")


def require_at_least_once(cluster: Cluster) -> None:
    """Whoever drops what was seen before reads 1 to n; the state, as its loader reads it, says n once."""
    counts = _counts(cluster)
    for key, count in counts.items():
        seen = list(dict.fromkeys(_totals(cluster)[key]))
        if seen != list(range(1, count + 1)):
            raise Violation(f"{key!r} came {count} times; its totals went out as {_totals(cluster)[key]}")
    rows: dict[bytes, bytes | None] = {}
    for number, end in input_ends(cluster).items():
        ending = _ending(cluster, number)
        rows.update(ending.admit(cluster.logs[CHANGELOG, number].committed()))
        offset = cluster.group.committed.get(number, 0)
        if ending.position.next != end or offset > end:
            raise Violation(f"partition {number}: position row {ending.position.next}, offset {offset}, end {end}")
    if {key: row for key, row in rows.items() if row is not None} != {key: b"%d" % one for key, one in counts.items()}:
        raise Violation(f"state {rows}, counted {dict(counts)}")
