import sys
from pathlib import Path

# Models that several test files here share are a module beside them.
sys.path.insert(0, str(Path(__file__).parent))
# Run as a script in a process of its own, which has two logical CPU devices.
collect_ignore = ["changes_on_two_devices.py", "steps_on_two_devices.py"]
