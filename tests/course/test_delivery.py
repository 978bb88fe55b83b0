"""Delivery, measured: ten seeds at the top rung, the whole ladder, and the oracle that judges."""

import json

from tests.harness import ladder
from tests.harness.oracle import judge

SEEDS, PUBLISHES = 10, 1_000
FEWER = 300  # publishes a rung, where only zero or not zero counts


async def test_ten_seeds_lose_nothing_repeat_nothing_and_keep_the_order() -> None:
    results = await ladder.many(SEEDS, PUBLISHES)

    assert len(results) == SEEDS
    for seed, judgement in results.items():
        assert judgement.clean, f"seed {seed}: {judgement}"
        assert judgement.sent == PUBLISHES


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
