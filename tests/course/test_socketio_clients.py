"""Socket.IO's own clients on chapter 10: JavaScript's in Node, and Python's."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from course.manifest import ROOT, load
from course.tools import find, npm_install
from tests.course.starting import all_it_says, start
from tests.course.test_chapters import running
from tests.harness.subject import Process

WITHIN = 30.0  # seconds for a program to do its part on a busy machine
FOLDER = load().chapter(10).folder

# A conversation of two clients; it prints one JSON array. ADDRESS and TRANSPORTS come from outside.
TALK = r"""
const { io } = require("socket.io-client");
const options = { transports: process.env.TRANSPORTS.split(","), forceNew: true };
const connected = (socket) => new Promise((resolve) => socket.once("connect", resolve));
const closed = (socket) => new Promise((resolve) => socket.once("disconnect", resolve));
(async () => {
  const said = [], heard = [];
  const alice = io(process.env.ADDRESS, options), bob = io(process.env.ADDRESS, options);
  await Promise.all([connected(alice), connected(bob)]);
  const channel = { channel: "room:js" };
  for (const socket of [alice, bob]) said.push(await socket.emitWithAck("subscribe", channel));
  bob.on("chat:said", (...event) => heard.push(event));
  const event = { channel: "room:js", event: "chat:said", payload: { text: "帧 👋" }, self: false };
  said.push(await alice.emitWithAck("publish", event));
  said.push(await alice.emitWithAck("no:such:event"));
  const burst = Array.from({ length: 200 }, (_, number) => alice.emitWithAck("app:ping", number));
  said.push((await Promise.all(burst)).filter((answer) => answer.ok).length);
  said.push(await bob.emitWithAck("unsubscribe", { channel: "room:js" }));
  const first = alice.id;
  alice.io.engine.close();
  await connected(alice);
  said.push(first !== alice.id, await alice.emitWithAck("publish", event));
  const refused = io(process.env.ADDRESS, { ...options, auth: [7] });
  const problem = await new Promise((resolve) => refused.once("connect_error", resolve));
  said.push([problem.message, problem.data, refused.active]);
  console.log(JSON.stringify([said, heard]));
  [alice, bob, refused].forEach((socket) => socket.disconnect());
})();
"""


@pytest.mark.parametrize("transports", ["polling,websocket", "websocket", "polling"])
async def test_the_javascript_client_in_node(transports: str) -> None:
    npm_install()
    async with running(FOLDER) as server:
        node = await asyncio.create_subprocess_exec(
            *(find("node"), "-e", TALK),
            cwd=ROOT,
            env={"ADDRESS": f"http://127.0.0.1:{server.port}", "TRANSPORTS": transports},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(node.communicate(), WITHIN)

    said, heard = json.loads(output)
    done = {"ok": True, "data": {"channel": "room:js"}}
    assert said[:2] == [done, done]
    assert said[2] == {"ok": True, "data": {"channel": "room:js", "receivers": 1}}
    assert said[3]["error"]["code"] == "unknown_type"
    assert said[4] == 200
    assert said[5] == done
    assert said[6] is True  # another sid
    assert said[7]["error"]["code"] == "not_subscribed"  # and no room
    assert said[8] == ["auth has to be an object", {"code": "bad_request"}, False]
    assert [event[0]["data"] for event in heard] == [{"text": "帧 👋"}]


@asynccontextmanager
async def python_client(server: Process) -> AsyncIterator[Any]:
    """client.py, and a function that types a line and returns what is printed next."""
    client = await start(FOLDER, "client.py", URL=f"http://127.0.0.1:{server.port}")
    assert client.stdin is not None and client.stdout is not None
    stdin, stdout = client.stdin, client.stdout

    async def printed(line: str = "") -> dict[str, Any]:
        if line:
            stdin.write(line.encode() + b"\n")
        return dict(json.loads(await asyncio.wait_for(stdout.readline(), WITHIN)))

    try:
        yield printed
    finally:
        stdin.close()
        await asyncio.wait_for(client.wait(), WITHIN)


async def test_the_python_client_comes_back_into_its_rooms() -> None:
    async with running(FOLDER) as server, python_client(server) as printed:
        assert (await printed())["event"] == "open"
        joined = await printed('["subscribe",{"channel":"room:py"}]')
        await server.stop()
        closed = await printed()
        async with running(FOLDER, PORT=str(server.port)):
            events = [await printed()]
            while events[-1]["event"] == "refused":
                events.append(await printed())
            again = await printed()
            said = '{"channel":"room:py","event":"chat:said","payload":1}'
            event = await printed(f'["publish",{said}]')

    assert joined["data"] == {"ok": True, "data": {"channel": "room:py"}}
    assert closed["event"] == "close"
    assert closed["reason"].startswith("transport")  # `server disconnect` would be final
    assert events[-1]["event"] == "open"
    assert again["data"] == joined["data"]
    assert event["data"][0] == "chat:said"


async def test_by_hand_over_a_plain_websocket() -> None:
    async with running(FOLDER) as server:
        raw = await start(FOLDER, "raw.py", URL=f"ws://127.0.0.1:{server.port}")
        printed, errors = await all_it_says(raw)

    assert errors == ""
    lines = printed.splitlines()
    packets = [line.split(" ", 1)[1] for line in lines if line[:1] in "→←"]
    kinds = [packet.rstrip("\n")[:2] for packet in packets]
    assert kinds == ["0{", "40", "40", "42", "43", "42", "42", "43", "2", "3", "41"]
    assert raw.returncode == 0, sys.version
