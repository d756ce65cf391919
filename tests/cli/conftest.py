import sys
from pathlib import Path

# The search that these tests look at is made as in the tests of the pipeline.
sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))
