"""How a server takes mutated requests: `python benchmarks/serving_fuzz.py [COUNT] [SEED] [PORT]`, 20,000 by default.

Without a port it is an embedded server over tests/serving/recorded/models, started for this.
"""

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "serving" / "fuzz"))

from storm import storm  # noqa: E402


@contextlib.contextmanager
def embedded():
    with tempfile.TemporaryDirectory() as folder:
        ports = Path(folder, "ports")
        flags = ["--host=127.0.0.1", "--port=-1", "--rest_api_port=0", f"--port_file={ports}"]
        models = str(ROOT / "tests" / "serving" / "recorded" / "models")
        with Path(folder, "log").open("wb") as log:
            server = subprocess.Popen([sys.executable, "-m", "tfkit", "serve", models, *flags], stdout=log, stderr=log)
        try:
            while not ports.exists():
                time.sleep(0.05)
            yield json.loads(ports.read_text())["rest"]
        finally:
            server.terminate()
            server.wait(60)


def main(count=20_000, seed=0, port=None):
    with embedded() if port is None else contextlib.nullcontext(port) as listening:
        return fuzz(listening, count, seed)


def fuzz(port, count, seed):
    started = time.monotonic()
    outcome = storm(port, seed, count)
    seconds = time.monotonic() - started
    print(f"{count} requests in {seconds:.0f} s; slowest answer {outcome.slowest * 1e3:.0f} ms")
    print("statuses:", dict(sorted(outcome.statuses.items())))
    for request, reply in outcome.faults[:10]:
        print("fault:", request[:300], "->", reply[:300])
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:4])))
