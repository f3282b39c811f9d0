import pytest

from streams.errors import ExpectedError
from streams.intake.rejects import RejectRatioExceededError, RejectWindow


def reject(window: RejectWindow, times: int) -> None:
    for _ in range(times):
        window.reject("not_json")


def test_up_to_the_share_refusals_pass() -> None:
    window = RejectWindow(10, 0.5)
    for _ in range(5):
        window.reject("not_json")
    with pytest.raises(RejectRatioExceededError) as caught:
        window.reject("not_json")
    assert isinstance(caught.value, ExpectedError)
    assert "6 of the last 10" in str(caught.value)
    assert "not_json" in str(caught.value)
    assert "PEGEL_INTAKE__REJECT_RATIO_MAX" in str(caught.value)


def test_only_the_last_records_count() -> None:
    window = RejectWindow(10, 0.5)
    for _ in range(100):
        window.reject("not_json")
        window.accept()
    window.accept(8)
    assert not window.quiet
    window.accept()
    assert window.quiet


def test_a_share_of_one_never_stops() -> None:
    window = RejectWindow(10, 1.0)
    for _ in range(1_000):
        window.reject("not_json")


@pytest.mark.parametrize("accepted_after", [0, 1, 4, 5, 9, 10, 50])
def test_the_window_outlives_the_worker(accepted_after: int) -> None:
    """What a restored window makes of the next refusals is what the old one would have made of them."""
    first = RejectWindow(10, 0.5)
    first.accept(1_000)
    for _ in range(5):
        first.reject("not_json")
    first.accept(accepted_after)
    second = RejectWindow(10, 0.5)
    second.restore(first.encode())
    assert second.encode() == first.encode()
    assert second.quiet == first.quiet
    for window in (first, second):
        if accepted_after < 6:
            with pytest.raises(RejectRatioExceededError):
                reject(window, accepted_after + 1)
        else:
            reject(window, 5)


def test_a_window_is_restored_under_another_size() -> None:
    first = RejectWindow(10, 1.0)
    for _ in range(8):
        first.reject("not_json")
        first.accept()
    second = RejectWindow(4, 0.5)
    second.restore(first.encode())
    reject(second, 1)
    with pytest.raises(RejectRatioExceededError):
        reject(second, 1)


def test_a_quiet_window_is_an_empty_row() -> None:
    window = RejectWindow(10, 0.5)
    window.accept(5)
    assert window.encode() == b""
    window.restore(b"")
    assert window.quiet
