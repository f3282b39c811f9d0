import pytest

from streams.runtime.failure import described
from streams.runtime.rejects import RejectLimits, RejectRatioExceededError, RejectWindow


def windowed(sample: int, ratio_max: float) -> RejectWindow:
    return RejectWindow(RejectLimits(sample, ratio_max, "THE_SETTING"))


def reject(window: RejectWindow, times: int) -> None:
    for _ in range(times):
        window.reject("not_json")


def test_up_to_the_share_refusals_pass() -> None:
    window = windowed(10, 0.5)
    for _ in range(5):
        window.reject("not_json")
    with pytest.raises(RejectRatioExceededError) as caught:
        window.reject("not_json")
    logged = described(caught.value)  # what the worker says when it ends
    assert "6 of the last 10" in logged
    assert "not_json" in logged
    assert "THE_SETTING=1" in logged


def test_only_the_last_records_count() -> None:
    window = windowed(10, 0.5)
    for _ in range(100):
        window.reject("not_json")
        window.accept()
    window.accept(8)
    assert window.encode()
    window.accept()
    assert window.encode() == b""


def test_a_share_of_one_never_stops() -> None:
    window = windowed(10, 1.0)
    for _ in range(1_000):
        window.reject("not_json")


@pytest.mark.parametrize("accepted_after", [0, 1, 4, 5, 9, 10, 50])
def test_the_window_outlives_the_worker(accepted_after: int) -> None:
    """What a restored window makes of the next refusals is what the old one would have made of them."""
    first = windowed(10, 0.5)
    first.accept(1_000)
    for _ in range(5):
        first.reject("not_json")
    first.accept(accepted_after)
    second = windowed(10, 0.5)
    second.restore(first.encode())
    assert second.encode() == first.encode()
    for window in (first, second):
        if accepted_after < 6:
            with pytest.raises(RejectRatioExceededError):
                reject(window, accepted_after + 1)
        else:
            reject(window, 5)


def test_a_window_is_restored_under_another_size() -> None:
    first = windowed(10, 1.0)
    for _ in range(8):
        first.reject("not_json")
        first.accept()
    second = windowed(4, 0.5)
    second.restore(first.encode())
    reject(second, 1)
    with pytest.raises(RejectRatioExceededError):
        reject(second, 1)


def test_a_quiet_window_is_a_tombstone_once_and_then_no_row() -> None:
    window = windowed(10, 0.5)
    window.accept(5)
    assert window.changes(b"r") == []
    window.reject("not_json")
    window.accept(4)
    assert window.changes(b"r") == [(b"r", b"\0\0\0\4")]
    window.accept(10)
    assert window.changes(b"r") == [(b"r", None)]
    window.accept(10)
    assert window.changes(b"r") == []
    window.restore(None)
    assert window.encode() == b""
