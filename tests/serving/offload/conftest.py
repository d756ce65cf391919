import sys
from pathlib import Path

# The core without TensorFlow, and the client that speaks ASGI, are those of the tests of REST.
sys.path.insert(0, str(Path(__file__).parents[1] / "rest"))
