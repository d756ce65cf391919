import sys
from pathlib import Path

# Spaces that several test files here share are modules beside them.
sys.path.insert(0, str(Path(__file__).parent))
