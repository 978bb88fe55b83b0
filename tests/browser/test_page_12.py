"""Chapter 12 as its reader has it: the page over wss, chapter 4's client, and a restart of all.

One deployment for everything, for to start it costs six processes; and one more for the dashboard.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from playwright.async_api import expect

from course import front
from course.manifest import load
from tests.browser.browsing import Visitors
from tests.harness.again import ask_again
from tests.harness.deployment import Deployment, deployed
from tests.harness.exchange import Exchange
from tests.harness.subject import Subject

FOLDER = load().chapter(12).folder
WITHIN = 30.0
USERS = "alice:wonderland:admin"


async def client_of_chapter_4(deployment: Deployment) -> asyncio.subprocess.Process:
    """It comes back, and trusts the certificate because it is told to."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-u", "client.py"),
        cwd=load().chapter(4).folder,
        env={
            **os.environ,
            "URL": f"wss://127.0.0.1:{deployment.https_port}/ws",
            "SSL_CERT_FILE": str(FOLDER / "run" / "localhost.pem"),
            "BACKOFF_BASE_MS": "500",
        },
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )


def children(parent: int) -> set[int]:
    path = Path(f"/proc/{parent}/task/{parent}/children")
    return {int(word) for word in path.read_text().split()} if path.exists() else set()


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_page_and_client_go_through_a_restart(visitors: Visitors) -> None:
    task = {"kind": "process", "command": [sys.executable, "deploy.py"], "cwd": str(FOLDER)}
    context = await visitors.browser.new_context(ignore_https_errors=True)
    async with deployed(Subject(task), STATIC=str(FOLDER)) as deployment:
        deployment = deployment.see(Exchange())
        client = await client_of_chapter_4(deployment)
        page = await context.new_page()
        await page.goto(f"{deployment.address}/")
        await expect(page.locator("#state")).to_have_attribute("data-state", "OPEN")
        await page.click("#who")
        names = page.locator("#who-cells li")
        await expect(names).to_have_count(8)
        assert set(await names.all_inner_texts()) <= {"200 native-1", "200 native-2"}
        await page.click("#sticky")
        polls = page.locator("#poll-cells li")
        await expect(polls).to_have_count(9)
        assert len(set(await polls.all_inner_texts())) == 1
        await page.click("#loose")
        await expect(polls.filter(has_text="400")).not_to_have_count(0)
        await page.click("#wsfoo")
        await expect(page.locator("#edge-cells")).to_have_text("404 nginx")

        process = deployment.process.process
        assert process is not None
        before = children(process.pid)
        deployment.roll()
        await deployment.prints("rolled", WITHIN)

        await expect(page.locator("#back")).not_to_have_text("0", timeout=WITHIN * 1000)
        await expect(page.locator("#code")).to_have_text("1001")
        came = int(await page.locator("#came").inner_text())
        await expect(page.locator("#came")).not_to_have_text(str(came), timeout=WITHIN * 1000)
        await expect(page.locator("#missing")).to_have_text("0")
        if shots := os.environ.get("SHOTS"):
            await page.screenshot(path=f"{shots}/12-wide.png")
            await page.goto(f"{deployment.address}/?lang=zh")
            await page.set_viewport_size({"width": 360, "height": 740})
            await page.wait_for_timeout(1500)
            await page.screenshot(path=f"{shots}/12-narrow.png")
        output, _ = await asyncio.wait_for(client.communicate(b""), WITHIN)
        events = [json.loads(line) for line in output.splitlines()]
        assert [event["code"] for event in events if event["event"] == "close"][:1] == [1001]
        assert [event["event"] for event in events].count("open") >= 2
        assert client.returncode == 0

        everybody = before | children(process.pid)
        process.send_signal(signal.SIGINT)
        assert await deployment.process.wait(WITHIN) == 0

        async def left() -> set[int]:
            return {pid for pid in everybody if alive(pid)}

        assert await ask_again(left, lambda found: not found, 5) == set()
        await deployment.exchange.close()
    await context.close()


async def test_the_dashboard_is_used_over_wss(visitors: Visitors) -> None:
    """As by `BOARD=1 make chapter-12`: chapter 14's servers behind the same nginx."""
    server = str(load().chapter(14).folder)
    settings = {"NATIVE": server, "SOCKETIO": server, "BUSINESS_SECONDS": "0.3", "USERS": USERS}
    settings["STATIC"] = str(await asyncio.to_thread(front.build))
    task = {"kind": "process", "command": [sys.executable, "deploy.py"], "cwd": str(FOLDER)}
    context = await visitors.browser.new_context(ignore_https_errors=True)
    async with deployed(Subject(task), **settings) as deployment:
        page = await context.new_page()
        sockets: list[str] = []
        page.on("websocket", lambda socket: sockets.append(socket.url))
        await page.goto(f"{deployment.address}/?lang=en")
        assert sockets == []  # none before the login
        await page.locator("input[name=user]").fill("alice")
        await page.locator("input[name=password]").fill("wonderland")
        await page.keyboard.press("Enter")

        await expect(page.get_by_role("status", name="Connection")).to_contain_text("live")
        rows = page.locator("[data-key]")
        await expect(rows.first).to_be_visible()
        shown = "".join(await rows.all_inner_texts())

        async def moved() -> bool:
            return "".join(await rows.all_inner_texts()) != shown

        assert await ask_again(moved, bool, WITHIN)
        assert {url.partition("?")[0] for url in sockets} == {
            f"wss://127.0.0.1:{deployment.https_port}/ws"
        }
    await context.close()
