"""The handshake: an HTTP request that becomes a WebSocket, and all that must not."""

import time

from tests.harness.peer import Peer, Response, random_key
from tests.harness.subject import FOREIGN_ORIGIN, ORIGIN, Subject
from tests.harness.verdict import LAST, check, fail, require

# RFC 6455 §1.3 works this pair out by hand.
RFC_ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
SEED = 6455
EARLIEST = 1_577_836_800_000  # 1 January 2020, in milliseconds since 1970


def refused(response: Response, what: str) -> None:
    """`fail()` if the handshake was accepted."""
    require(response.status != 101, what, expected="any status but 101", got=response)


async def upgrade(subject: Subject, peer: Peer, **request: object) -> Response:
    return await peer.request(subject.path, **request)  # type: ignore[arg-type]


@check("RFC 6455 §4.2.2")
async def test_accept_is_computed_from_the_key(subject: Subject) -> None:
    """The sample key of the RFC gets the sample answer of the RFC.

    Append the GUID 258EAFA5-E914-47DA-95CA-C5AB0DC85B11 to Sec-WebSocket-Key, as text. Hash that
    with SHA-1 and write the 20 bytes in Base64 (not in hexadecimal).

    The key is not decoded first: its Base64 text itself is hashed.
    """
    peer = await subject.dial()

    response = await upgrade(subject, peer)

    require(response.status == 101, "the handshake is refused", expected="101", got=response)
    accept = response.headers.get("sec-websocket-accept", "no such header")
    require(accept == RFC_ACCEPT, "Sec-WebSocket-Accept is wrong", expected=RFC_ACCEPT, got=accept)


@check("RFC 6455 §4.2.2")
async def test_each_key_has_its_own_accept(subject: Subject) -> None:
    """Another key gets another answer.

    The answer has to be computed for each request: it shows the client that a WebSocket server has
    read this very handshake, and not that a cache has an old answer at hand.
    """
    from course.frames import accept_for

    key = random_key(SEED)
    peer = await subject.dial()

    response = await upgrade(subject, peer, headers={"Sec-WebSocket-Key": key})

    accept = response.headers.get("sec-websocket-accept", "no such header")
    require(
        accept == accept_for(key),
        f"Sec-WebSocket-Accept for the key {key} is wrong",
        expected=accept_for(key),
        got=accept,
    )


@check("RFC 6455 §4.2.2")
async def test_answer_names_the_upgrade(subject: Subject) -> None:
    """The answer 101 says `Upgrade: websocket` and `Connection: Upgrade`.

    A browser refuses the connection when one of these headers is missing, even though the status is
    101. Their values are compared without regard to case.
    """
    peer = await subject.dial()

    response = await upgrade(subject, peer)

    for name, value in (("upgrade", "websocket"), ("connection", "upgrade")):
        got = response.headers.get(name, "no such header")
        words = [word.strip().lower() for word in got.split(",")]
        require(value in words, f"the header {name} is wrong", expected=value, got=got)


@check("RFC 6455 §4.2.1")
async def test_header_case_and_lists(subject: Subject) -> None:
    """Header names in any case and `Connection: keep-alive, Upgrade` are understood.

    Firefox sends `Connection: keep-alive, Upgrade`: look for the word `upgrade` in a list separated
    by commas, without regard to case, instead of comparing the whole value.
    """
    peer = await subject.dial()
    odd = {
        "UPGRADE": "WebSocket",
        "connection": "keep-alive, Upgrade",
        "sec-websocket-key": random_key(SEED),
        "SEC-WEBSOCKET-VERSION": "13",
    }

    response = await upgrade(subject, peer, upgrade=False, headers=odd)

    require(
        response.status == 101,
        "a handshake that browsers send is refused",
        expected="101",
        got=response,
    )


@check("Wire contract, chapter 1")
async def test_welcome_comes_first(subject: Subject) -> None:
    """The first message is the welcome, with the time in milliseconds.

    Send {"type":"welcome","ts":…} as a text frame as soon as the handshake is done, before anything
    is read. `ts` is a number: milliseconds since 1970, not seconds.
    """
    peer = await subject.connect()

    welcome = await peer.welcome()

    ts = welcome.get("ts")
    right = isinstance(ts, int | float) and not isinstance(ts, bool)
    require(right, "ts is not a number", expected="milliseconds since 1970", got=repr(ts))
    latest = (time.time() + 86400) * 1000
    require(
        EARLIEST < ts < latest,  # type: ignore[operator]
        "ts is not the time in milliseconds since 1970",
        expected=f"about {int(time.time() * 1000)}",
        got=ts,
    )


@check("RFC 6455 §4.2.2")
async def test_nothing_is_agreed_unasked(subject: Subject) -> None:
    """The answer names no subprotocol and no extension that was not offered.

    A browser ends the connection when the server chooses what it did not offer. Leave the headers
    Sec-WebSocket-Protocol and Sec-WebSocket-Extensions out, unless you choose from what was
    offered.
    """
    peer = await subject.dial()

    response = await upgrade(subject, peer)

    for name in ("sec-websocket-protocol", "sec-websocket-extensions"):
        got = response.headers.get(name)
        require(
            got is None, f"the answer has the header {name}", expected="no such header", got=got
        )


@check("RFC 9112 §2.2")
async def test_handshake_in_pieces(subject: Subject) -> None:
    """A request that arrives in several pieces is understood.

    TCP is a stream: one read may bring half of the headers. Read until the blank line.
    """
    peer = await subject.dial()

    response = await upgrade(subject, peer, pieces=3)

    require(response.status == 101, "a request in pieces is refused", expected="101", got=response)


@check("RFC 6455 §4.2.1")
async def test_missing_key_is_refused(subject: Subject) -> None:
    """A handshake without Sec-WebSocket-Key is refused.

    Answer 400 Bad Request. Without a key there is nothing to answer with, so no client that knows
    the protocol sent this.
    """
    peer = await subject.dial()
    response = await upgrade(subject, peer, leave_out=("Sec-WebSocket-Key",))
    refused(response, "a handshake without a key is accepted")


@check("RFC 6455 §4.2.1")
async def test_short_key_is_refused(subject: Subject) -> None:
    """A key that is not 16 bytes in Base64 is refused.

    Decode the key and look at its length: exactly 16 bytes. This key decodes to 5.
    """
    peer = await subject.dial()
    response = await upgrade(subject, peer, headers={"Sec-WebSocket-Key": "c2hvcnQ="})
    refused(response, "a key of 5 bytes is accepted")


@check("RFC 6455 §4.2.1")
async def test_version_12_is_refused(subject: Subject) -> None:
    """Version 12 of the protocol is refused.

    There is one version, 13. Answer 400 or 426, with the header `Sec-WebSocket-Version: 13` so that
    the client learns which one to use.
    """
    peer = await subject.dial()
    response = await upgrade(subject, peer, headers={"Sec-WebSocket-Version": "12"})
    refused(response, "version 12 is accepted")


@check("RFC 6455 §4.1")
async def test_post_is_refused(subject: Subject) -> None:
    """A handshake by POST is refused.

    Only a GET request can become a WebSocket. Answer 405, or whatever your framework has.
    """
    peer = await subject.dial()
    response = await upgrade(subject, peer, method="POST", headers={"Content-Length": "0"})
    refused(response, "a POST request is upgraded")


@check("Wire contract, chapter 1")
async def test_wrong_path_is_refused(subject: Subject) -> None:
    """A handshake at another path than /ws is refused.

    Some libraries accept WebSockets at every path until you look at it: compare the path, without
    its query, before you accept. Answer 404.
    """
    for path in ("/", "/other", f"{subject.path}x"):
        peer = await subject.dial()
        response = await peer.request(path)
        refused(response, f"a WebSocket is opened at {path}")


@check("Wire contract, chapter 1")
async def test_query_does_not_matter(subject: Subject) -> None:
    """A query behind the path does not hinder the handshake.

    Clients add a query, a ticket for example. Compare the path alone: what stands before the `?`.
    """
    peer = await subject.dial()
    response = await peer.request(f"{subject.path}?from=check")
    require(response.status == 101, "a path with a query is refused", expected="101", got=response)


@check("RFC 9110 §15.5.22")
async def test_plain_get_is_answered(subject: Subject) -> None:
    """A plain GET of /ws gets an answer, and not 101.

    Without the Upgrade header this is ordinary HTTP. Say so with a status (426 Upgrade Required, or
    400). A server that says nothing makes the proxy in front of it wait for a minute.
    """
    peer = await subject.dial()
    response = await upgrade(subject, peer, upgrade=False)
    refused(response, "a plain GET is upgraded")


@check("Wire contract, chapter 1")
async def test_page_is_served(subject: Subject) -> None:
    """GET / is the page.

    Answer 200 with Content-Type text/html, on the port of the WebSocket.
    """
    peer = await subject.dial()

    response = await peer.request("/", upgrade=False)

    kind = response.headers.get("content-type", "no such header")
    require(response.status == 200, "there is no page at /", expected="200", got=response)
    require(kind.startswith("text/html"), "the page is no HTML", expected="text/html", got=kind)
    require(response.body, "the page is empty")


@check("RFC 6455 §10.2")
async def test_known_origin_is_let_in(subject: Subject) -> None:
    """A page named in ALLOWED_ORIGINS may connect.

    The browser sends the page's origin in the header Origin. ALLOWED_ORIGINS is a list separated by
    commas; compare whole strings.
    """
    subject.need_process()
    peer = await subject.dial()
    response = await upgrade(subject, peer, headers={"Origin": ORIGIN})
    require(response.status == 101, f"the origin {ORIGIN} is refused", expected="101", got=response)


@check("RFC 6455 §10.2")
async def test_foreign_origin_is_refused(subject: Subject) -> None:
    """A page from elsewhere may not connect.

    Any page on the web can open a WebSocket to your server, with the visitor's cookies: no rule of
    the browser forbids it. So the server has to look at Origin, before it answers 101. Answer 403.

    Compare whole strings. `in`, `startswith`, `endswith` and loose patterns let
    http://page.example.evil.com in, or https:// for http://.
    """
    tricks = [FOREIGN_ORIGIN]
    if subject.is_process:
        tricks += [f"{ORIGIN}.evil.example", f"http://evil-{ORIGIN[7:]}", f"{ORIGIN}:81", "null"]
        tricks += [ORIGIN.replace("http:", "https:"), ORIGIN[:-1], "http://page", ""]
    for origin in tricks:
        peer = await subject.dial()
        response = await upgrade(subject, peer, headers={"Origin": origin})
        if response.status == 101:
            fail(f"the origin {origin} is let in", expected="403, or any but 101", got=response)


@check("Wire contract: never a hang", order=LAST)
async def test_half_a_handshake_stops_nobody(subject: Subject) -> None:
    """A client that never finishes its handshake does not stop the next one.

    Each connection needs a task, thread or callback of its own from the moment it is accepted. A
    server that reads the handshake in its accept loop waits for the slowest client of all.
    """
    slow = await subject.dial()
    await slow.send_raw(b"GET /ws HTTP/1.1\r\nHost:", "half a request, and then nothing")

    await subject.client()
