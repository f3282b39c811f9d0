import logging

from streams.runtime.logs import PAUSE_S, Pause


def record(name: str, template: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, "", 0, template, arguments, None)


def test_the_client_repeats_itself_once_in_a_while_and_says_how_often_it_did() -> None:
    now = [100.0]
    pause = Pause(lambda: now[0])
    passed = [pause.filter(record("aiokafka", "cannot connect to %s", node)) for node in range(5)]
    assert passed == [True, False, False, False, False]
    assert pause.filter(record("aiokafka", "another %s", 1))
    now[0] += PAUSE_S
    later = record("aiokafka", "cannot connect to %s", 9)
    assert pause.filter(later)
    assert later.getMessage() == "cannot connect to 9 (and 4 more like this)"


def test_our_own_lines_all_pass() -> None:
    pause = Pause(lambda: 0.0)
    assert all(pause.filter(record("streams.runtime.worker", "stopping")) for _ in range(3))
