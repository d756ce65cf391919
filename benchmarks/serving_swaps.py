"""Hot swaps under load: `python benchmarks/serving_swaps.py [--swaps 100] [--clients 32]`.

Versions that add 2 and versions that add 3 to x / 2 take turns while clients ask different x one after another.
Each answer must be right for one of the versions that may be serving then. Prints failures, wrong answers, requests a
second, seconds a swap, and the memory of the server with its children after a tenth of the swaps and at the end.
"""

import argparse
import asyncio
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MODELS = Path(__file__).parents[1] / "tests" / "serving" / "recorded" / "models"
PLUS = {0: ("hp2/00000123", 2.0), 1: ("hp3/00000123", 3.0)}


class Clients:
    """Ask without pause, and keep the answers that no version could have given."""

    def __init__(self, port, count):
        self.port, self.count = port, count
        self.answered, self.wrong, self.failed = 0, [], []
        self.possible = set()
        self.going = True

    async def run(self):
        await asyncio.gather(*(self._ask(random.Random(seed)) for seed in range(self.count)))

    async def _ask(self, generator):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        while self.going:
            x = float(generator.randrange(1_000_000))
            before = set(self.possible)
            body = json.dumps({"instances": [x]}).encode()
            writer.write(
                b"POST /v1/models/swapped:predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            )
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            reply = await reader.readexactly(length)
            self.answered += 1
            if head[9:12] != b"200":
                self.failed.append(reply)
            elif json.loads(reply)["predictions"][0] - x / 2 not in before | self.possible:
                self.wrong.append((x, reply))
        writer.close()


def put(base, version):
    source, plus = PLUS[version % 2]
    beside = base / f".{version}"
    shutil.copytree(MODELS / source, beside)
    beside.rename(base / str(version))
    return plus


def memory(pid):
    """Proportional set size of a process and all below it, in MB."""
    kilobytes = 0
    for each in [pid, *children(pid)]:
        try:
            text = Path(f"/proc/{each}/smaps_rollup").read_text()
        except OSError:
            continue
        kilobytes += int(text.split("Pss:")[1].split()[0])
    return kilobytes / 1024


def children(pid):
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += [int(child), *children(int(child))]
    return found


async def available(port, version):
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /v1/models/swapped HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        reply = (await reader.read()).partition(b"\r\n\r\n")[2]
        writer.close()
        states = {each["version"]: each["state"] for each in json.loads(reply)["model_version_status"]}
        if states.get(str(version)) == "AVAILABLE" and "AVAILABLE" not in {
            state for key, state in states.items() if key != str(version)
        }:
            return
        await asyncio.sleep(0.02)


async def swap(port, pid, base, count, clients):
    load = Clients(port, clients)
    load.possible = {PLUS[1][1]}
    running = asyncio.create_task(load.run())
    await asyncio.sleep(1)
    begin, seconds, early = time.monotonic(), [], None
    for version in range(2, count + 2):
        started = time.monotonic()
        load.possible.add(put(base, version))
        await available(port, version)
        seconds.append(time.monotonic() - started)
        # What was sent before the swap may still be on its way.
        await asyncio.sleep(0.05)
        load.possible = {PLUS[version % 2][1]}
        if version == 2 + count // 10:
            early = memory(pid)
    whole = time.monotonic() - begin
    load.going = False
    await running
    return load, whole, sorted(seconds)[len(seconds) // 2], early, memory(pid)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--swaps", type=int, default=100)
    parser.add_argument("--clients", type=int, default=32)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base, ports = Path(folder, "swapped"), Path(folder, "ports")
        base.mkdir()
        put(base, 1)
        flags = ["--host=127.0.0.1", "--port=-1", "--rest_api_port=0", f"--port_file={ports}"]
        flags += ["--model_name=swapped", f"--model_base_path={base}", "--file_system_poll_wait_seconds=0.05"]
        with Path(folder, "log").open("wb") as log:
            server = subprocess.Popen([sys.executable, "-m", "tfkit", "serve", *flags], stdout=log, stderr=log)
        try:
            while not ports.exists():
                time.sleep(0.05)
            port = json.loads(ports.read_text())["rest"]
            load, whole, each, early, late = asyncio.run(swap(port, server.pid, base, options.swaps, options.clients))
        finally:
            server.terminate()
            server.wait(60)
    print(f"{options.swaps} swaps, {load.answered} requests, {load.answered / whole:.0f}/s, {each:.2f} s a swap")
    print(f"failed: {len(load.failed)} {load.failed[:2]}; wrong: {len(load.wrong)} {load.wrong[:2]}")
    print(f"memory of all processes: {early:.0f} MB after {options.swaps // 10} swaps, {late:.0f} MB at the end")
    return 1 if load.failed or load.wrong or late > 1.1 * early else 0


if __name__ == "__main__":
    sys.exit(main())
