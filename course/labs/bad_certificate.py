"""A certificate for another name: a page gets 1006, and nobody asks whether to go on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from course.doctor.visit import Options
from course.labs.stage import Scene, certificate, opened, server

FINDS = "tls.certificate"
SHOWS = "net::ERR_CERT_COMMON_NAME_INVALID"


@asynccontextmanager
async def scene(cured: bool) -> AsyncIterator[Scene]:
    name = "DNS:localhost" if cured else "DNS:old.example"
    with certificate(name) as (tls, ca):
        async with server(tls=tls) as backend:
            url = backend.url(scheme="wss", host="localhost")

            async def symptom() -> list[tuple[str, str]]:
                return await opened(url, ca=ca)

            yield Scene(url, symptom, Options(heartbeat=0, ca=ca))
