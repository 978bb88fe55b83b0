"""The frame dissector sees in a frame what the course's own reader sees, and names every fault."""

from __future__ import annotations

import json
import random
import subprocess
from typing import Any

import pytest

from course import frames, partials, tools
from course.manifest import ROOT

SEED = 6455
MANY = 200
NODE_SECONDS = 60

# Runs the script as a page would, with just enough of a page around it, and dissects each line.
HARNESS = """
const fs = require("fs"), vm = require("vm");
const { scripts, lines } = JSON.parse(fs.readFileSync(0, "utf8"));
const html = { lang: "en" };
const page = { documentElement: html, readyState: "complete", querySelectorAll: () => [] };
const world = { window: {}, document: page, TextDecoder, Uint8Array };
vm.createContext(world);
for (const script of scripts) vm.runInContext(script, world);
const { parseHex, dissect } = world.window.FrameDissector;
console.log(JSON.stringify(lines.map((line) => {
  const { bytes, error } = parseHex(line);
  if (error) return { error };
  const found = [], message = {};
  for (let at = 0; at < bytes.length; at = found.at(-1).end) {
    found.push(dissect(bytes, at, message));
  }
  return found.map((frame) => ({
    ...frame,
    payload: Buffer.from(frame.payload ?? []).toString("hex"),
    fields: frame.fields.map((field) => field.meanings.join("; ")),
  }));
})));
"""


def dissect(*lines: str) -> list[Any]:
    """What the dissector makes of each line of hexadecimal: its frames, or {error}."""
    script = (ROOT / "site" / "assets" / "dissector.js").read_text(encoding="utf-8")
    done = subprocess.run(
        [tools.find("node"), "-e", HARNESS],
        input=json.dumps({"scripts": [partials.close_code_script("en"), script], "lines": lines}),
        capture_output=True,
        text=True,
        timeout=NODE_SECONDS,
        check=True,
    )
    return list(json.loads(done.stdout))


def test_it_sees_what_our_reader_sees() -> None:
    rng = random.Random(SEED)
    sent = []
    for _ in range(MANY):
        opcode = rng.choice([frames.TEXT, frames.BINARY, frames.PING, frames.PONG])
        size = rng.choice([0, 1, 125] if opcode >= frames.CLOSE else [0, 1, 125, 126, 300, 65536])
        payload = bytes(rng.choice(b"abcdefgh") for _ in range(size))
        mask = rng.randbytes(4) if rng.random() < 0.5 else None
        sent.append((mask, frames.build(opcode, payload, mask=mask)))

    for (mask, raw), (seen,) in zip(sent, dissect(*(r.hex() for _, r in sent)), strict=True):
        (ours,) = frames.FrameReader(masked=mask is not None).feed(raw)
        assert isinstance(ours, frames.Frame), f"seed {SEED}"
        assert seen["opcode"] == ours.opcode
        assert bool(seen["fin"]) == ours.fin
        assert bool(seen["masked"]) == ours.masked
        assert seen["length"] == ours.length
        assert seen["payload"] == ours.payload.hex()
        assert seen["problems"] == []


CLOSE, TEXT, PING = frames.CLOSE, frames.TEXT, frames.PING
FAULTS = {
    "reserved bits": (frames.build(TEXT, b"hi", rsv=frames.RSV1), "reserved bits must be 0"),
    "an undefined opcode": (frames.build(3, b"hi"), "opcode is not defined"),
    "a split ping": (frames.build(PING, fin=False), "must not be split"),
    "a long ping": (frames.build(PING, bytes(126)), "at most 125 bytes"),
    "a length in too long a form": (bytes.fromhex("817e0002") + b"hi", "shortest form"),
    "the highest bit of a length": (bytes.fromhex("81ff" + "80" + "00" * 7), "64-bit length"),
    "no UTF-8": (frames.build(TEXT, b"\xc3\x28"), "not valid UTF-8"),
    "half a close code": (frames.build(CLOSE, b"\x03"), "at least two bytes"),
    "1005 on the wire": (frames.build(CLOSE, frames.close_payload(1005)), "must not travel"),
    "999 on the wire": (frames.build(CLOSE, frames.close_payload(999)), "must not travel"),
    "a reason that is no UTF-8": (frames.build(CLOSE, b"\x03\xe8\xff"), "not valid UTF-8"),
    "an end too early": (frames.build(TEXT, b"hello")[:-2], "2 bytes are missing"),
    "half a head": (b"\x81", "head of the frame is incomplete"),
}


@pytest.fixture(scope="module")
def faults() -> dict[str, Any]:
    lines = dissect(*(raw.hex() for raw, _ in FAULTS.values()))
    return dict(zip(FAULTS, lines, strict=True))


@pytest.mark.parametrize("fault", FAULTS)
def test_it_names_a_fault(fault: str, faults: dict[str, Any]) -> None:
    problems = faults[fault][0]["problems"]

    assert any(FAULTS[fault][1] in problem for problem in problems), problems


def test_it_reads_fragments_with_a_ping_between_as_one_text() -> None:
    parts = [
        frames.build(TEXT, "帧".encode()[:2], fin=False),
        frames.build(PING, b"?"),
        frames.build(frames.CONTINUATION, "帧".encode()[2:]),
    ]

    (seen,) = dissect(b"".join(parts).hex())

    assert [frame["problems"] for frame in seen] == [[], [], []]
    assert "as text; “帧”" in seen[2]["fields"]


def test_it_reads_what_handshake_py_prints_and_refuses_the_rest() -> None:
    printed = (
        "→ 81                      FIN=1 (the message ends here)\n→ 80    MASK=1\n→ 0x37,FA:21 3d"
    )

    (frame,), words, half = dissect(printed, "81 text", "818")

    assert frame["problems"] == []
    assert frame["masked"] == 1
    assert "text" in words["error"]
    assert "pairs" in half["error"]


def test_every_close_code_has_its_meaning() -> None:
    codes = [code for code in frames.CLOSE_CODES if code not in (1005, 1006, 1015)]
    lines = [frames.build(CLOSE, frames.close_payload(code)).hex() for code in codes]

    for code, (frame,) in zip(codes, dissect(*lines), strict=True):
        assert f"close code {code} · {frames.CLOSE_CODES[code]}" in frame["fields"]
        assert frame["problems"] == []
