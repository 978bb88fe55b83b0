"""Causes: what a doctor can name, at which hop it shows, and what mends it.

One table. Whatever a hop finds it reports by a name from here, so that two doctors who see the same
thing say the same word.
"""

from dataclasses import dataclass

# In the order in which a connection is made. What fails at one hop says nothing of the later ones.
HOPS = ("dns", "tcp", "tls", "http", "open", "type", "size", "heartbeat", "close")


@dataclass(frozen=True)
class Cause:
    hop: str
    cure: str
    verdict: str = "problem"


CAUSES = {
    "unreachable": Cause("tcp", "start the server; compare host and port"),
    "bad-certificate": Cause("tls", "a certificate for this very name, that clients trust"),
    "no-tls": Cause("tls", "wss:// to a port that speaks TLS, ws:// to one that does not"),
    "no-answer": Cause("http", "look for a blocked server, or a path that nobody proxies"),
    "no-upgrade-headers": Cause("http", "let the proxy pass Upgrade and Connection, by HTTP/1.1"),
    "wrong-path": Cause("http", "the same path in client, proxy and server"),
    "origin-refused": Cause("http", "put the page's origin on the server's list"),
    "expired-token": Cause("http", "fetch a fresh one before each connection"),
    "unauthorized": Cause("http", "log in; fetch a ticket"),
    "forbidden": Cause("http", "ask who may: it is not the origin"),
    "backend-down": Cause("http", "start the server behind the proxy; compare its port"),
    "bad-accept": Cause("http", "this is no WebSocket server, or a cache answered for it"),
    "version-mismatch": Cause("http", "bring the older side of Socket.IO up"),
    "refused": Cause("http", "read the server's log at this second"),
    "closed-at-once": Cause("open", "read the server's log; clients: back off until it holds"),
    "blocked-handler": Cause("open", "await it, or move it to a thread"),
    "blob-echo": Cause("type", "send text as text, not as bytes"),
    "wrong-type": Cause("type", "write each type once, in a file that both sides use"),
    "oversized": Cause("size", "send less, or raise MAX_MESSAGE_BYTES on purpose"),
    "proxy-timeout": Cause("heartbeat", "a time-out of more than two heartbeats"),
    "no-heartbeat": Cause("heartbeat", "ping every 15 to 30 s, and drop the silent", "warning"),
    "no-close": Cause("close", "answer a close with a close", "warning"),
}

# What a refused upgrade most often means. 400, 401 and 403 need a second look: see upgrading.py.
STATUS = {
    **dict.fromkeys((400, 426, 505), "no-upgrade-headers"),
    401: "unauthorized",
    403: "forbidden",
    404: "wrong-path",
    **dict.fromkeys((502, 503, 504), "backend-down"),
}


class Sick(Exception):
    """A hop failed. `cause` is a name in CAUSES, `saw` the evidence; the visit ends here."""

    def __init__(self, cause: str, saw: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.saw = saw
