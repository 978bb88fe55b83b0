"""Chapter 14, what its checks do not ask: the files of a built front end, and nothing else."""

import sys
from pathlib import Path

from course.manifest import load
from course.tools import free_port, local_secrets
from tests.harness.exchange import Exchange
from tests.harness.peer import Peer
from tests.harness.subject import Process


async def test_the_front_end_is_served_and_nothing_outside_of_it(tmp_path: Path) -> None:
    """STATIC names a folder: its page at /, its files by their paths, no way up."""
    chapter = load().chapter(14)
    dist = tmp_path / "dist"
    (dist / "assets").mkdir(parents=True)
    (dist / "index.html").write_text("<title>built</title>")
    (dist / "assets" / "index.js").write_text("export {}")
    (tmp_path / "secret.txt").write_text("secret")
    settings = {"PORT": str(free_port()), "STATIC": str(dist), **local_secrets(chapter.secrets, {})}

    async with Process([sys.executable, "server.py"], str(chapter.folder), settings).up() as server:

        async def get(path: str) -> tuple[int, str, bytes]:
            peer = Peer(Exchange())
            peer.door = None
            await peer.dial("127.0.0.1", server.port)
            answer = await peer.request(path, upgrade=False, headers={"Connection": "close"})
            await peer.close()
            return answer.status, answer.headers.get("content-type", ""), answer.body

        assert await get("/") == (200, "text/html", b"<title>built</title>")
        status, kind, body = await get("/assets/index.js")
        assert (status, body) == (200, b"export {}")
        assert "javascript" in kind
        for path in (
            "/nowhere",
            "/assets",
            "/../secret.txt",
            "/%2e%2e/secret.txt",
            "/..%2fsecret.txt",
        ):
            status, kind, body = await get(path)
            assert status == 404, path
            assert b"secret" not in body
