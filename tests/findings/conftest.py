from collections.abc import Callable
from datetime import datetime

import pytest

from auditor.model import Credential
from tests.findings.world import Story


@pytest.fixture
def story(credential: Callable[..., Credential], now: datetime) -> Story:
    return Story(credential(), now)
