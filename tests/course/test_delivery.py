"""Delivery, measured: ten seeds at the top rung, the whole ladder, and the oracle that judges."""

import json
import sys
from functools import partial
from typing import Any

from course.manifest import load
from course.wire import Wire
from tests.harness import ladder
from tests.harness.client import ClientProgram
from tests.harness.exchange import Exchange
from tests.harness.journey import BETWEEN
from tests.harness.oracle import judge

SEEDS, PUBLISHES = 10, 1_000
FEWER = 300  # publishes a rung, where only zero or not zero counts


async def test_ten_seeds_lose_nothing_repeat_nothing_and_keep_the_order() -> None:
    results = await ladder.many(SEEDS, PUBLISHES)

    assert len(results) == SEEDS
    for seed, judgement in results.items():
        assert judgement.clean, f"seed {seed}: {judgement}"
        assert judgement.sent == PUBLISHES


def is_of(payload: int, printed: dict[str, Any]) -> bool:
    return bool(printed["data"] == payload)


async def test_our_client_and_our_server_fit_together() -> None:
    """The two were graded apart: here they talk to each other, over a wire that cuts."""
    channel, wanted = "room:together", list(range(200))
    folder = load().chapter(ladder.CHAPTER).folder
    program = ClientProgram([sys.executable, "client.py"], str(folder))
    exchange = Exchange()

    def line(kind: str, request_id: str, **data: object) -> str:
        body = {"channel": channel, **data}
        return json.dumps({"type": kind, "requestId": request_id, "data": body})

    async with ladder.server() as server, Wire("127.0.0.1", server.port, seed=ladder.SEED) as wire:
        client = await program.start(exchange, wire.url(), BACKOFF_BASE_MS="1", BACKOFF_CAP_MS="5")
        try:
            await client.say(line("subscribe", "s"))
            await client.event("snapshot", 20)
            wire.cut_randomly(BETWEEN)
            for start in range(0, len(wanted), 50):
                for number in wanted[start : start + 50]:
                    event = {"event": "check:step", "payload": number}
                    await client.say(line("publish", f"p{number}", **event))
                last = wanted[start + 49]
                await client.event("applied", 20, where=partial(is_of, last))
        finally:
            await exchange.close()

    found = judge(wanted, [heard.fields["data"] for heard in client.all("applied")])
    assert found.clean, found
    assert wire.accepted > 5


async def test_the_ladder_is_what_the_lesson_says() -> None:
    """Which counts are zero and which are not, for every rung that the page shows."""
    recorded = json.loads(ladder.RESULTS.read_text(encoding="utf-8"))

    measured = await ladder.measure(FEWER, recorded["seed"])

    assert recorded["publishes"] == ladder.PUBLISHES
    for name, rung in recorded["rungs"].items():
        for count in ladder.COUNTS:
            assert (rung[count] > 0) == (measured["rungs"][name][count] > 0), (name, count)
    assert recorded["rungs"]["at-most-once"]["lost"] > 0
    assert recorded["rungs"]["at-least-once"]["duplicated"] > 0


def test_the_oracle_counts_what_went_wrong() -> None:
    sent = ["a", "b", "c", "d"]

    assert judge(sent, ["a", "b", "c", "d"]).clean
    assert judge(sent, ["a", "d"]).lost == 2
    assert judge(sent, ["a", "b", "b", "c", "b", "d"]).duplicated == 2
    assert judge(sent, ["a", "c", "b", "d"]).reordered == 1
    assert judge(sent, ["d", "a", "b", "c"]).reordered == 3
    assert judge(sent, ["a", "b", "c", "d", "e"]).invented == 1
    assert not judge(sent, ["a", "b", "c", "d", "e"]).clean
    assert str(judge(sent, ["a", "b", "d"])) == "1 lost (c …), 0 duplicated, 0 reordered of 4"


def test_a_repeat_is_no_disorder() -> None:
    """What comes again, late, was in its place the first time."""
    found = judge([1, 2, 3], [1, 2, 3, 1])

    assert (found.duplicated, found.reordered) == (1, 0)
