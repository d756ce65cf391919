import sys
from pathlib import Path

# What several test files here share is a module beside them.
sys.path.insert(0, str(Path(__file__).parent))
