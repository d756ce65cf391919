import sys
from pathlib import Path

# Models that several files here share are a module beside them.
sys.path.insert(0, str(Path(__file__).parent))
# Run as scripts in processes of their own, which have two logical CPU devices, or are workers.
collect_ignore = ["two_devices.py", "guarded_fits.py", "guarded_losses.py", "placed_fits.py", "worker.py"]
