import sys
from pathlib import Path

# Models that several test files here share are modules beside them.
sys.path.insert(0, str(Path(__file__).parent))

# Programs that tests here start.
collect_ignore = ["distill_on_two_devices.py", "prune_against_tfmot.py", "prune_on_two_devices.py"]
