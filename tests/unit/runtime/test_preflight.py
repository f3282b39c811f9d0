import pytest

from streams.errors import KafkaUnreachableError
from streams.runtime.options import KafkaAccess, RuntimeOptions
from streams.runtime.preflight import check_topics, topic_problems
from streams.runtime.stage import StageSpec
from tests.unit.runtime.fakes import FakeStage

SPEC = StageSpec("toy", "in", "changelog", FakeStage, ("out", "in"))


def test_nothing_is_wrong_with_topics_that_fit() -> None:
    assert topic_problems(SPEC, {"in": 4, "changelog": 4, "out": 7}) == []


def test_every_missing_topic_is_named_once() -> None:
    assert topic_problems(SPEC, {"changelog": 4}) == ["topic in does not exist", "topic out does not exist"]


def test_a_changelog_with_another_number_of_partitions_is_refused() -> None:
    (problem,) = topic_problems(SPEC, {"in": 4, "changelog": 3, "out": 1})
    assert "changelog has 3 partitions, in has 4" in problem


async def test_a_broker_that_does_not_answer_is_named_with_the_way_out() -> None:
    options = RuntimeOptions(kafka=KafkaAccess("127.0.0.1:1"), group="toy", start_timeout_s=0)
    with pytest.raises(KafkaUnreachableError, match=r"127\.0\.0\.1:1.*--bootstrap"):
        await check_topics(SPEC, options)
