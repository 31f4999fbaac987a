import pytest

from tests.house import House


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)
