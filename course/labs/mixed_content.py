"""A page that came by https opens ws://. The browser refuses, and no server hears of it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

from course.doctor.visit import Options
from course.labs.stage import PAGE, Scene, certificate, opened, server

FINDS = "mixed.blocked"
SHOWS = "Mixed Content"
THROWN = (
    "SecurityError: Failed to construct 'WebSocket': An insecure WebSocket connection may not be "
    "initiated from a page loaded over HTTPS."
)


@asynccontextmanager
async def scene(cured: bool) -> AsyncIterator[Scene]:
    with certificate("DNS:localhost", "IP:127.0.0.1") as (tls, ca):
        async with AsyncExitStack() as stack:
            secure = await stack.enter_async_context(server(tls=tls))
            page = secure.url("", "https", "localhost")
            plain = await stack.enter_async_context(server(pages=(PAGE, page)))
            url = secure.url(scheme="wss", host="localhost") if cured else plain.url()

            async def symptom() -> list[tuple[str, str]]:
                """A browser's rule, applied here: loopback itself is excepted in some of them."""
                if urlsplit(url).scheme == "wss":
                    return await opened(url, origin=page, ca=ca)
                blocked = (
                    f"Mixed Content: The page at '{page}/' was loaded over HTTPS, but attempted to "
                    f"connect to the insecure WebSocket endpoint '{url}'. This request has been "
                    "blocked; this endpoint must be available over WSS."
                )
                log = plain.log[-1] if plain.log else "(nothing: no byte was sent)"
                return [("browser", blocked), ("browser", THROWN), ("server log", log)]

            yield Scene(url, symptom, Options(heartbeat=0, origin=page, ca=ca if cured else ""))
