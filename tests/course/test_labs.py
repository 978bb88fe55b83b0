"""Each lab shows its symptom, is named by the doctor, and is cleared by its cure."""

import argparse
import asyncio
import os
import re
import shlex
import signal
import subprocess
import sys

import pytest

from course.doctor.command import add_parser, options_of
from course.doctor.report import vocabulary
from course.doctor.visit import examine
from course.labs import catalogue, command
from course.manifest import LANGUAGES, ROOT

WITHIN = 60.0  # seconds that only a failure reaches
NAMES = (
    *("no-upgrade-headers", "wrong-path", "proxy-timeout", "no-stickiness", "mixed-content"),
    *("cors-origin", "no-heartbeat", "retry-storm", "wrong-type", "blob-echo", "expired-token"),
    *("oversized", "blocked-handler", "no-adapter", "version-mismatch", "bad-certificate"),
)


@pytest.mark.parametrize("name", NAMES)
async def test_a_lab_shows_its_symptom_is_diagnosed_and_cured(name: str) -> None:
    lab = catalogue.lab(name)
    async with asyncio.timeout(WITHIN):
        async with lab.scene(False) as broken:
            seen = await broken.symptom()
            sick = await examine(broken.url, broken.options)
        async with lab.scene(True) as cured:
            seen_again = await cured.symptom()
            well = await examine(cured.url, cured.options)

    assert any(lab.shows in said for _, said in seen), seen
    assert {*sick.having("problem"), *sick.having("warning")} == {lab.finds, *lab.also}
    assert not any(lab.shows in said for _, said in seen_again), seen_again
    assert well.exit_code(strict=True) == 0, well.as_json("en")


def test_the_labs_are_those_of_the_contract_and_told_in_both_languages() -> None:
    assert tuple(catalogue.names()) == NAMES
    for name in NAMES:
        lab = catalogue.lab(name)
        assert set(lab.title) == set(lab.symptom) == set(LANGUAGES)
        entry = vocabulary()[lab.finds]
        assert {"cause", "cure"} <= set(entry)
    files = {path.stem.replace("_", "-") for path in (ROOT / "course" / "labs").glob("*.py")}
    assert files - {"--init--", "stage", "catalogue", "command"} == set(NAMES)


async def test_what_a_lab_says_to_type_tells_the_doctor_the_same() -> None:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    for name in ("mixed-content", "wrong-type", "oversized"):
        async with catalogue.lab(name).scene(True) as scene:
            words = shlex.split(catalogue.doctor_words(scene))[3:]
        assert options_of(parser.parse_args(words)) == scene.options


def test_the_command_runs_until_ctrl_c_and_a_mystery_tells_at_the_end() -> None:
    """A mystery that can be set up anywhere: the choice is made for it."""
    code = (
        "import random, sys; random.choice = lambda names: 'wrong-path'\n"
        "from course.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "break", "mystery", "--lang", "en"],
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    before = []
    for line in process.stdout:
        before.append(line)
        if line.startswith("Ctrl-C"):
            break
    process.send_signal(signal.SIGINT)
    after, _ = process.communicate(timeout=WITHIN)

    told = "".join(before)
    assert process.returncode == 0
    assert "Unexpected response code: 404" in told
    assert "course doctor ws://127.0.0.1:" in told
    assert "wrong-path" not in told
    assert "it was: wrong-path" in after


def test_a_lab_that_is_none_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())

    with pytest.raises(SystemExit) as stopped:
        command.main(parser.parse_args(["break", "nothing"]))

    assert stopped.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_diagnosis_that_the_site_shows_is_what_is_printed(language: str) -> None:
    """Recorded by RECORD=1 pytest tests/course/test_labs.py -k diagnosis."""
    command = ["-m", "course", "break", "no-upgrade-headers", "--diagnose", "--lang", language]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1", "CURED": ""},
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=True,
    )
    said = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:8080", done.stdout)
    said = re.sub(r"[\d.]+ ms", "0.3 ms", re.sub(r"nginx/[\d.]+", "nginx", said))
    said = "$ python -m course break no-upgrade-headers --diagnose\n" + said
    recorded = ROOT / "site" / "data" / f"diagnosis.{language}.txt"
    if os.environ.get("RECORD"):
        recorded.write_text(said, encoding="utf-8")

    assert recorded.read_text(encoding="utf-8") == said
