"""Values of the two logs, from topics or from files.

Files may be dumps or plain lines, actions and transitions together or apart; they are read twice, so standard input
is none of them.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from streams.dumping import TopicReader
from streams.errors import SettingsError
from streams.replay.lines import STDIN, LineReader
from streams.report.records import value_of
from streams.settings import KafkaSettings


def from_files(names: list[str]) -> Callable[[], Iterable[bytes]]:
    """What reads them, each time from the beginning."""
    if STDIN in names:
        raise SettingsError("standard input cannot be read twice; write it to a file and name that")
    for name in names:
        if not Path(name).is_file():
            raise SettingsError(f"{name}: is no file; name one that can be read twice")

    def values() -> Iterator[bytes]:
        for line in LineReader(names):
            value = value_of(line.raw)
            if value is not None:
                yield value

    return values


def from_topic(kafka: KafkaSettings, topic: str) -> Callable[[], Iterable[bytes]]:
    def values() -> Iterator[bytes]:
        for message in TopicReader(kafka, topic).records():
            value = message.value()
            if value is not None:
                yield value

    return values
