"""The ladder of promises, measured: one journey, three ways of dealing with its cuts.

At most once: what was lost stays lost. At least once: what was not acknowledged is sent again, and
the reader asks for what it missed. Effectively once: the same, under the requestId it had before.

python -m tests.harness.ladder             measures, and writes site/data/ladder.json
python -m tests.harness.ladder --seeds 10  the top rung only, 1,000 publishes for each seed
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from course.manifest import ROOT, load
from course.tools import free_port
from tests.harness.exchange import Exchange
from tests.harness.journey import (
    AT_LEAST_ONCE,
    AT_MOST_ONCE,
    BETWEEN,
    EFFECTIVELY_ONCE,
    Journey,
    Promise,
)
from tests.harness.oracle import Judgement
from tests.harness.subject import Process

RESULTS = ROOT / "site" / "data" / "ladder.json"
CHAPTER, SEED, PUBLISHES = 6, 6, 1_000
RUNGS = {
    "at-most-once": AT_MOST_ONCE,
    "at-least-once": AT_LEAST_ONCE,
    "effectively-once": EFFECTIVELY_ONCE,
}
COUNTS = ("lost", "duplicated", "reordered")


@asynccontextmanager
async def server() -> AsyncIterator[Process]:
    """The chapter's server, ready, on a port of its own."""
    environment = {"PORT": str(free_port())}
    process = Process(
        [sys.executable, "server.py"], str(load().chapter(CHAPTER).folder), environment
    )
    async with process.up():
        yield process


async def climb(port: int, promise: Promise, name: str, *, publishes: int, seed: int) -> Journey:
    """One journey, done."""
    exchange = Exchange()
    journey = Journey(
        exchange, "127.0.0.1", port, publishes=publishes, seed=seed, promise=promise, name=name
    )
    try:
        journey.judgement = await journey.run()
    finally:
        await exchange.close()
    return journey


def counts(judgement: Judgement) -> dict[str, int]:
    return {name: getattr(judgement, name) for name in COUNTS}


async def measure(publishes: int = PUBLISHES, seed: int = SEED) -> dict[str, Any]:
    """Every rung, with one seed. How many are lost differs between runs; whether any, does not."""
    async with server() as process:
        rungs = {}
        for name, promise in RUNGS.items():
            journey = await climb(process.port, promise, name, publishes=publishes, seed=seed)
            rungs[name] = {**counts(journey.judgement), "connections": journey.connections}
    return {"publishes": publishes, "seed": seed, "cut_after_frames": BETWEEN, "rungs": rungs}


async def many(seeds: int, publishes: int = PUBLISHES) -> dict[int, Judgement]:
    """The top rung with the seeds 1, 2, 3 …"""
    async with server() as process:
        done = {}
        for seed in range(1, seeds + 1):
            journey = await climb(
                process.port, EFFECTIVELY_ONCE, f"seed-{seed}", publishes=publishes, seed=seed
            )
            done[seed] = journey.judgement
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, help="how many journeys at the top rung")
    options = parser.parse_args()
    if options.seeds:
        for seed, judgement in asyncio.run(many(options.seeds)).items():
            print(f"seed {seed}: {judgement}")
        return
    write(RESULTS, asyncio.run(measure()))


def write(path: Path, results: dict[str, Any]) -> None:
    path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
