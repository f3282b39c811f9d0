"""Dead letters and their marks, read from Kafka: committed records up to where the topics end at the start.

Letters come one after the other, whatever their number; held are the marks of the topics that are asked for, by place.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka import TopicPartition

from streams.dead_letters.letters import Letter, Selection
from streams.dead_letters.marks import Mark, Place, decode
from streams.dumping import TopicReader, headers_of
from streams.kafka_client import consumer, reaching, timeout_s
from streams.kafka_reading import is_end, reader_config
from streams.settings import KafkaSettings
from streams.topics import Topics

CONSUMER: Final = "pegel-dlq"

Extent = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of some dead-letter topics."""

    by_place: dict[Place, Mark] = field(default_factory=dict)

    def of(self, place: Place, letter_ms: int) -> Mark | None:
        mark = self.by_place.get(place)
        return mark if mark is not None and mark.letter_ms == letter_ms else None

    def gone(self, extents: dict[tuple[str, int], Extent]) -> list[Place]:
        """Places whose letter has left its topic."""
        return [
            place for place in self.by_place if place.offset < extents.get((place.topic, place.partition), (0, 0))[0]
        ]


class Store:
    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._topics = Topics(kafka.topic_prefix)

    def marks(self, selection: Selection) -> Marks:
        """The latest mark of every letter."""
        found = Marks()
        for message in TopicReader(self._kafka, self._topics.dead_letter_marks).records():
            place = Place.parse((message.key() or b"").decode("utf-8", "replace"))
            if place is None or place.topic not in selection.topics:
                continue
            mark = decode(message.value()) if message.value() is not None else None
            if mark is None:
                found.by_place.pop(place, None)
            else:
                found.by_place[place] = mark
        return found

    def extents(self, selection: Selection) -> dict[tuple[str, int], Extent]:
        """First offset and end of every partition of the selected topics."""
        return {
            (topic, partition): extent
            for topic in selection.topics
            for partition, extent in TopicReader(self._kafka, topic).extents().items()
        }

    def letters(
        self, selection: Selection, marks: Marks, extents: dict[tuple[str, int], Extent] | None = None
    ) -> Iterator[Letter]:
        """Every letter of the selected topics, selected or not, up to `extents`; the caller asks `selection.fits`."""
        extents = self.extents(selection) if extents is None else extents
        wanted = {(place.topic, place.partition) for place in selection.places}
        for topic in selection.topics:
            partitions = [
                partition
                for (name, partition), (low, end) in sorted(extents.items())
                if name == topic and low < end and (not wanted or (name, partition) in wanted)
            ]
            if not partitions:
                continue
            for message in TopicReader(self._kafka, topic, partitions).records():
                letter = letter_of(message, marks)
                if letter.place.offset < extents[topic, letter.place.partition][1]:
                    yield letter

    def letter(self, place: Place) -> Letter | None:
        """The letter at a place, if there is one."""
        selection = Selection(topics=[place.topic], places=[place])
        low, end = self.extents(selection).get((place.topic, place.partition), (0, 0))
        if not low <= place.offset < end:
            return None
        marks = self.marks(selection)
        with reaching(self._kafka) as complaints:
            client = consumer(self._kafka, complaints, reader_config(CONSUMER))
            try:
                client.assign([TopicPartition(place.topic, place.partition, place.offset)])
                for message in client.consume(1, timeout_s(self._kafka)):
                    if not is_end(message):
                        found = letter_of(message, marks)
                        return found if found.place == place else None
            finally:
                client.close()
        return None


def letter_of(message: Any, marks: Marks) -> Letter:
    place = Place(message.topic(), message.partition(), message.offset())
    _, at_ms = message.timestamp()
    return Letter(place, at_ms, message.key(), message.value(), headers_of(message), marks.of(place, at_ms))
