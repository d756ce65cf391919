import sys
from pathlib import Path

import pytest

# What several test files here share is a module beside them.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def core(run, nursery):
    """A core that looks for versions twenty times a second."""

    from core_asked import FAST

    from tfkit_serving.servables.core import ServerCore

    async def make():
        return ServerCore(FAST, nursery)

    made = run(make())
    yield made
    run(made.close(1.0))
