"""How a server takes mutated requests: `python benchmarks/serving_fuzz.py PORT [COUNT] [SEED]`, 20,000 by default.

The server is any that listens on 127.0.0.1, `tfkit serve` over tests/serving/recorded/models for one.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "serving" / "fuzz"))

from storm import storm


def main(port, count=20_000, seed=0):
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
