import sys
from pathlib import Path

import pytest

# The core without TensorFlow that several test files here share is a module beside them.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def app():
    from small_core import SmallCore

    from tfkit_serving.rest.app import create_app

    return create_app(SmallCore())
