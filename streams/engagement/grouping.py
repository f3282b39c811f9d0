"""In which order a batch is applied: account by account, each account's records in the order of the log.

Theory of operation. Accounts do not know of each other, so that between two control records only the order of an
account's own records says anything. What an account holds is some kilobytes in many small pieces: where other accounts
come between two of its records, they are fetched from memory once more, and that is most of what an event costs. So a
worker that is behind, whose batches are large, takes an account's records together. Small batches, which are what a
worker sees that keeps up, stay as they are.
"""

from collections.abc import Sequence
from typing import Final

from schemas.control import CONTROL_HEADER
from streams.runtime.stage import InputRecord

GROUPED_FROM_RECORDS: Final = 64


def grouped(records: Sequence[InputRecord]) -> Sequence[InputRecord]:
    """The same records, accounts as they occur; as they are if there are few, or one is of all accounts or of none."""
    if len(records) < GROUPED_FROM_RECORDS:
        return records
    by_key: dict[bytes, list[InputRecord]] = {}
    for record in records:
        key = record.key
        if key is None:
            return records
        for name, _ in record.headers or ():
            if name == CONTROL_HEADER:
                return records
        of_account = by_key.get(key)
        if of_account is None:
            by_key[key] = [record]
        else:
            of_account.append(record)
    return [record for of_account in by_key.values() for record in of_account]
