import sys
from pathlib import Path

# The requests are made by a module beside this one, the small server by one of the REST tests'.
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "rest")]
