"""What the labs say that a browser says is what Chromium says."""

from __future__ import annotations

from playwright.async_api import ConsoleMessage, Page

from course.labs import catalogue
from course.labs.stage import PAGE
from tests.browser.browsing import Visitors

CONNECT = """url => new Promise(done => {
  const socket = new WebSocket(url);
  socket.onclose = event => done(`close event: code ${event.code}, wasClean ${event.wasClean}`);
  socket.onopen = () => socket.send("{}");
  socket.onmessage = event => {
    try { JSON.parse(event.data); } catch (error) { done(String(error)); }
  };
}).catch(error => `${error.name}: ${error.message}`)"""
POLL = """async url => {
  const open = await fetch(url);
  const sid = (await open.text()).split('"')[3];
  await fetch(`${url}&sid=${sid}`, { method: "POST", body: "40" });
}"""
LABS = {
    "no-upgrade-headers": CONNECT,
    "wrong-path": CONNECT,
    "expired-token": CONNECT,
    "blob-echo": CONNECT,
    "mixed-content": CONNECT,
    "cors-origin": "url => new Promise(done => { const asked = new XMLHttpRequest();"
    " asked.open('GET', url); asked.onloadend = () => done(''); asked.send(); })",
    "version-mismatch": "url => fetch(url).then(() => '')",
    "no-stickiness": POLL,
}


async def said_in(page: Page, script: str, url: str, origin: str) -> list[str]:
    """What a page of that origin is told when it does this."""
    said: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        said.append(message.text)

    page.on("console", hear)
    await page.route(f"{origin}/", lambda route: route.fulfill(body="", content_type="text/html"))
    await page.goto(f"{origin}/")
    said.append(str(await page.evaluate(script, url)))
    page.remove_listener("console", hear)
    return said


async def test_a_certificate_for_another_name_is_refused_without_asking(
    visitors: Visitors,
) -> None:
    """Chromium has no file of issuers to be told of, so it names the issuer and not the name.

    What counts is as the lab says: nobody is asked whether to go on, and a script gets 1006.
    """
    context = await visitors.browser.new_context()
    await context.grant_permissions(["local-network-access"])
    page = await context.new_page()
    async with catalogue.lab("bad-certificate").scene(False) as scene:
        heard = await said_in(page, CONNECT, scene.url, PAGE)
    await context.close()

    assert heard[-1] == "close event: code 1006, wasClean false"
    assert any("Error in connection establishment: net::ERR_CERT_" in line for line in heard), heard


async def test_the_console_says_what_the_labs_claim(visitors: Visitors) -> None:
    context = await visitors.browser.new_context(ignore_https_errors=True)
    await context.grant_permissions(["local-network-access"])
    page = await context.new_page()
    for name, script in LABS.items():
        async with catalogue.lab(name).scene(False) as scene:
            claimed = [text for who, text in await scene.symptom() if who == "browser"]
            url = scene.url
            if url.startswith("http"):
                url += f"{'&' if '?' in url else '?EIO=4&'}transport=polling"
            if name == "mixed-content":  # this computer's own addresses are excepted
                url = url.replace("127.0.0.1", "app.example")
                claimed = [text.replace("127.0.0.1", "app.example") for text in claimed]
            heard = await said_in(page, script, url, scene.options.origin or PAGE)

        heard = [text.replace(url, f"{url.partition('?')[0]}?token=…") for text in heard] + heard
        for wanted in claimed:
            if "connect_error" not in wanted:  # that is said by Socket.IO's client
                assert wanted.removeprefix("Uncaught ") in heard, (name, heard)
    await context.close()
