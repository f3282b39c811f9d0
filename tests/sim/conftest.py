import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seeds", type=int, default=200, help="how many runs of the simulation; long: 20000")
    parser.addoption("--first-seed", type=int, default=0)
