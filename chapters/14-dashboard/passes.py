"""Passes: what a client does before it connects. A token from the login, a ticket for each attempt.

The client's half of tokens.py and tickets.py.
"""

from typing import Any
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout

REQUEST_SECONDS = 10.0


class Refused(Exception):
    """The server said no, or nothing. The message is for people."""


class Pass:
    """One user's way in. The token stays in memory: on disk others could read it."""

    def __init__(self, url: str, user: str, password: str) -> None:
        """`url` is the WebSocket's; REST is at the same place."""
        parts = urlsplit(url)
        self.url = url
        self.base = f"{'https' if parts.scheme == 'wss' else 'http'}://{parts.netloc}"
        self.credentials = {"user": user, "password": password}
        self.token = ""
        self.life = 0.0  # seconds that the token had when it came

    async def log_in(self) -> None:
        self._keep(await self._post("/api/login", self.credentials))

    async def refresh(self) -> str:
        """A new token for the old one, while that is still good. Raises Refused."""
        self._keep(await self._post("/api/refresh"))
        return self.token

    async def address(self) -> str:
        """Where to connect this time: the last ticket is used up. Raises Refused."""
        try:
            ticket = await self._post("/api/ticket")
        except Refused:  # the token may have ended meanwhile, or never begun
            await self.log_in()
            ticket = await self._post("/api/ticket")
        return f"{self.url}?ticket={ticket['ticket']}"

    def _keep(self, answer: dict[str, Any]) -> None:
        self.token, self.life = answer["accessToken"], float(answer["expiresIn"])

    async def _post(self, path: str, said: object = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            async with (
                ClientSession(timeout=ClientTimeout(REQUEST_SECONDS)) as session,
                session.post(self.base + path, json=said, headers=headers) as response,
            ):
                answer: dict[str, Any] = await response.json()
        except (ClientError, TimeoutError, ValueError) as error:
            raise Refused(f"{self.base}: {error or 'no answer in time'}") from error
        if response.status != 200:
            raise Refused(f"{path} answers {response.status} {response.reason}")
        return answer
