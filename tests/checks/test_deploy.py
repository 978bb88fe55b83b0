"""The deployment: one address with TLS for everything behind it, and a restart nobody notices.

The whole of it is started once, and seen from outside by clients that take the certificate as it
is. They come from addresses of their own, and read what the deployment prints.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator

import pytest_asyncio

from tests.harness.again import ask_again
from tests.harness.deployment import (
    BURST,
    HOST,
    LARGEST,
    LINK_SECONDS,
    LINKS,
    Deployment,
    Ride,
    deployed,
)
from tests.harness.exchange import Exchange
from tests.harness.oracle import judge
from tests.harness.peer import Peer
from tests.harness.socketio_peer import POLLING, SEPARATOR, WEBSOCKET
from tests.harness.subject import Subject
from tests.harness.verdict import LAST, check, fail, require

POLLERS = 8
RIDERS = 200
RIDE_SECONDS = 30.0  # for all to be there, or back
ROLL_SECONDS = 40.0
SECRET = "seen-in-no-log"
FORGED = "203.0.113.7"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(_program: Subject) -> AsyncIterator[Deployment]:
    """The deployment, started once."""
    async with deployed(_program) as deployment:
        yield deployment


@pytest_asyncio.fixture(loop_scope="session")
async def site(running: Deployment, exchange: Exchange) -> Deployment:
    return running.see(exchange)


@check("Wire contract, chapter 12")
async def test_page_over_tls(site: Deployment) -> None:
    """`GET /` on HTTPS_PORT is answered with a page, over TLS.

    The certificate is at the proxy; behind it everything speaks plain HTTP on loopback.
    """
    response = await site.get("/")

    kind = response.headers.get("content-type", "")
    right = response.status == 200 and kind.startswith("text/html")
    require(right, "there is no page", expected="200 text/html", got=f"{response} {kind}")


@check("RFC 9110 §15.4")
async def test_http_leads_to_https(site: Deployment) -> None:
    """On HTTP_PORT every request is sent on to the same path on HTTPS_PORT.

    Nothing else is served there: no page, no API, no WebSocket.
    """
    for path in ("/", "/api/ping?x=1", "/ws"):
        peer = Peer(site.exchange)
        peer.door = None
        await peer.dial(HOST, site.http_port)
        response = await peer.request(path, upgrade=path == "/ws")
        got = f"{response.status} {response.headers.get('location', 'nowhere')}"
        wanted = f"{site.address}{path}"
        right = response.status in (301, 302, 307, 308)
        right = right and response.headers.get("location") == wanted
        require(right, f"http {path} leads elsewhere", expected=f"308 {wanted}", got=got)


@check("RFC 6797 §7.1")
async def test_says_that_it_is_https_only(site: Deployment) -> None:
    """Every answer over TLS carries Strict-Transport-Security, also a 404 and those of the API.

    In nginx, one `add_header` in a location drops all that stand above it.
    """
    for path in ("/", "/api/ping", "/nowhere", POLLING):
        response = await site.get(path)
        got = response.headers.get("strict-transport-security", "")
        require("max-age=" in got, f"no HSTS on {path}", expected="max-age=…", got=got or "nothing")


@check("Wire contract, chapter 12")
async def test_each_path_has_its_instances(site: Deployment) -> None:
    """/api/ and /socket.io/ reach an instance of their kind, and `X-Served-By` names it.

    Names are native-1, native-2, socketio-1, socketio-2.
    """
    for path, kind in (("/api/ping", "native-"), (POLLING, "socketio-")):
        response = await site.get(path)
        require(response.status == 200, f"{path} fails", expected=200, got=response)
        got = response.headers.get("x-served-by", "")
        require(got.startswith(kind), f"{path} is served by another", expected=kind, got=got)


@check("Wire contract, chapter 12")
async def test_websockets_at_both(site: Deployment) -> None:
    """wss://…/ws is upgraded, and four clients are shared out to both native instances.

    The proxy speaks HTTP/1.1 to the instance and passes on `Upgrade` and `Connection`: they are
    hop by hop, and no proxy passes them on by itself.
    """
    served = []
    for number in range(4):
        visitor, name = await site.websocket()
        await visitor.send_json({"type": "echo", "data": number, "requestId": "e"})
        reply = await visitor.json("the echo")
        require(reply.get("data") == number, "the echo is another", expected=number, got=reply)
        served.append(name)
    require(
        set(served) == {"native-1", "native-2"},
        "four clients are not shared out",
        expected="some at native-1, some at native-2",
        got=dict(Counter(served)),
    )


@check("Wire contract, chapter 12")
async def test_only_that_path(site: Deployment) -> None:
    """/wsfoo is 404 and reaches no instance, and so is every path that nobody serves.

    A prefix takes more along than was meant: in nginx `location = /ws`, not `location /ws`.
    """
    for path in ("/wsfoo", "/ws/", "/nowhere"):
        visitor = await site.visitor()
        response = await visitor.request(path)
        require(response.status == 404, f"{path} is no 404", expected=404, got=response)
        name = response.headers.get("x-served-by", "")
        require(not name, f"{path} reaches an instance", expected="404 by the proxy", got=name)


@check("Wire contract, chapter 12")
async def test_polling_sticks(site: Deployment) -> None:
    """Eight clients that poll are shared out, and each stays where its session is.

    A session of long polling is known to one process. A cookie brings each request back to it, even
    where all clients share one address. Round robin sends the second request to the other instance,
    which answers 400.
    """
    token = await site.token()
    names = await asyncio.gather(*(poll(site, token) for _ in range(POLLERS)))

    require(
        set(names) == {"socketio-1", "socketio-2"},
        "eight clients of one address are not shared out",
        expected="some at socketio-1, some at socketio-2",
        got=dict(Counter(names)),
    )


async def poll(site: Deployment, token: str) -> str:
    """Open a session by polling and use it, each request on its own; who served all of it."""
    first = await site.get(POLLING)
    require(first.status == 200, "a session is refused", expected=200, got=first)
    session = json.loads(first.body[1:])["sid"]
    name, cookie = first.headers.get("x-served-by", ""), first.headers.get("set-cookie", "")
    kept = {"Cookie": cookie.partition(";")[0]} if cookie else {}
    path = f"{POLLING}&sid={session}"
    subscribe = '421["subscribe",{"channel":"room:poll"}]'
    for packet, answer in ((f'40{{"token":"{token}"}}', "40{"), (subscribe, "431[")):
        visitor = await site.visitor()
        headers = {"Content-Type": "text/plain", "Content-Length": str(len(packet)), **kept}
        sent = await visitor.request(
            path, method="POST", upgrade=False, body=packet.encode(), headers=headers
        )
        got = sent.headers.get("x-served-by", "")
        where = f"{sent} from {got}"
        require(sent.status == 200, "a POST of its session is refused", expected=200, got=where)
        require(got == name, "another instance answers", expected=name, got=got)
        while True:
            polled = await site.get(path, **kept)
            require(polled.status == 200, "a poll is refused", expected=200, got=polled)
            packets = polled.body.decode().split(SEPARATOR)
            if any(each.startswith(answer) for each in packets):
                break
            require(set(packets) <= {"2"}, "another packet comes", expected=answer, got=packets)
    return name


@check("Wire contract, chapter 12")
async def test_no_query_in_the_log(site: Deployment) -> None:
    """The access log is on standard output: who, path and status, and never a query.

    A query may hold a ticket, and logs are kept, copied and searched. In nginx's `log_format`,
    `$request` has the query in it, `$uri` has not.
    """
    visitor = await site.visitor()
    await visitor.request(f"/ws?ticket={SECRET}")
    await visitor.close()
    await site.get(f"/api/ping?ticket={SECRET}")
    await site.get(f"/the-end-of-the-log?ticket={SECRET}")
    await site.prints("/the-end-of-the-log", 10)

    lines = list(site.process.output)
    require(
        any("/api/ping" in line and " 200" in line for line in lines),
        "GET /api/ping is not in the access log",
    )
    found = [line for line in lines if SECRET in line]
    if found:
        fail("a ticket stands in the log", expected="the path alone", got=found[0][:200])


@check("Wire contract, chapter 12")
async def test_knows_who_the_client_is(site: Deployment) -> None:
    """Behind the proxy the application sees the client's address, whatever the client claims.

    The audit log (`GET /api/audit`) tells: it names the address that the client came from. A
    made-up `X-Forwarded-For` changes nothing, for the proxy sets that header and does not add to
    it, and the instance believes the proxy alone.
    """
    address, token = "127.0.3.1", await site.token()
    visitor = await site.visitor(address)
    claims = {"X-Forwarded-For": FORGED, "X-Real-IP": FORGED, "Forwarded": f"for={FORGED}"}
    response = await visitor.request(WEBSOCKET, headers=claims)
    require(response.status == 101, "Socket.IO is refused", expected=101, got=response)
    await visitor.message("0{…}")
    await visitor.send_text(f'40{{"token":"{token}"}}')
    came = (await visitor.message("40{…}")).text
    require(came.startswith("40{"), "the client is not let in", expected="40{…}", got=came[:200])

    async def addresses() -> set[str]:
        audit = await site.get("/api/audit", Authorization=f"Bearer {token}")
        require(audit.status == 200, "GET /api/audit fails", expected=200, got=audit)
        return {str(line.get("ip")) for line in json.loads(audit.body).get("lines", ())}

    found = await ask_again(addresses, lambda known: bool({address, FORGED} & known), 3)
    require(
        address in found and FORGED not in found,
        "the application knows another address",
        expected=address,
        got=sorted(found),
    )


@check("Wire contract, chapter 12")
async def test_a_quiet_link_stays(site: Deployment) -> None:
    """A client that says nothing but pongs stays connected beyond the proxy's time-out.

    A heartbeat is traffic. The time-out of the proxy has to be longer than two of them: nginx cuts
    a connection on which nothing came for `proxy_read_timeout`, without a close frame.
    """
    visitor, _ = await site.websocket()
    loop = asyncio.get_running_loop()
    until = loop.time() + 1.2 * LINK_SECONDS
    while loop.time() < until:
        try:
            async with asyncio.timeout(until - loop.time()):
                frame = await visitor.next_frame()  # which answers pings on the way
        except TimeoutError:
            break
        if frame is None:
            fail("the connection was cut while it was quiet", expected="open", got="the end")
    await visitor.send_json({"type": "ping", "requestId": "still-here"})
    await visitor.json("the pong")


@check("RFC 9110 §15.5.14")
async def test_too_large_a_body(site: Deployment) -> None:
    """A body that is announced as too large is refused by 413 before it is sent.

    The proxy has to know the limit: an instance that reads first is kept busy by whoever sends.
    """
    visitor = await site.visitor()
    headers = {"Content-Type": "application/json", "Content-Length": str(LARGEST + 1)}
    response = await visitor.request("/api/publish", method="POST", upgrade=False, headers=headers)

    require(response.status == 413, "it is not refused", expected=413, got=response)


@check("Wire contract, chapter 12")
async def test_links_of_one_address(site: Deployment) -> None:
    """Beyond LINKS_PER_ADDRESS one address is told 429; other addresses are served.

    Each open WebSocket costs memory for as long as it lasts: one machine must not have them all.
    """
    for _ in range(LINKS):
        await site.websocket("127.0.2.1")
    visitor = await site.visitor("127.0.2.1")
    response = await visitor.request("/ws")
    what = f"link {LINKS + 1} of one address is no 429"
    require(response.status == 429, what, expected=429, got=response)
    await site.websocket("127.0.2.2")


@check("Wire contract, chapter 12")
async def test_openings_of_one_address(site: Deployment) -> None:
    """Beyond HANDSHAKE_RATE and HANDSHAKE_BURST openings one address is told 429; others are not.

    A client without backoff, or an attack, opens as fast as it can. Polls that belong to a session
    open nothing: they are not counted.
    """
    visitor = await site.visitor("127.0.2.3")
    statuses = Counter(
        [(await visitor.request("/ws", upgrade=False)).status for _ in range(3 * BURST)]
    )
    require(statuses[429], f"{3 * BURST} openings at once are answered", got=dict(statuses))
    await site.websocket("127.0.2.4")


@check("Wire contract, chapter 12", order=LAST, costly=True)
async def test_nobody_notices_a_restart(site: Deployment) -> None:
    """SIGUSR1 restarts every instance; 200 clients are told, come back, and miss nothing.

    They are clients of chapter 6's kind: after 1001 or 1012 each waits for a random part of a
    second, and subscribes with `since`. An instance is taken out of the proxy, ends, and gets
    clients again when it is well; meanwhile the others serve, so no handshake and no publish fails.
    When all is done, the deployment prints a line with `rolled`.
    """
    await site.websocket()  # or there is no need to send two hundred
    ride = Ride(site, RIDERS, seed=12)
    async with ride.under_way(RIDE_SECONDS, rate=4):
        before = Counter(rider.served_by for rider in ride.riders)
        site.roll()
        await site.prints("rolled", ROLL_SECONDS)
        await ride.all_here(RIDE_SECONDS)
        await ride.all_have_all(RIDE_SECONDS)
    after = Counter(rider.served_by for rider in ride.riders)
    refused = [why for rider in ride.riders for why in rider.refused]
    codes = Counter(code for rider in ride.riders for code in rider.codes)
    site.exchange.add("riders", "·", f"before {dict(before)}, after {dict(after)}")
    site.exchange.add("riders", "·", f"closed with {dict(codes)}, refused {len(refused)} times")
    site.exchange.add("publisher", "·", f"{ride.sent} published, again {ride.unlucky[:5]}")

    require(
        all(rider.codes for rider in ride.riders),
        "some were never disconnected: their instance was not restarted",
        got=f"{sum(not rider.codes for rider in ride.riders)} of {RIDERS}",
    )
    require(
        set(codes) <= {1001, 1012},
        "some were not told that the server goes away",
        expected="1001 or 1012",
        got=dict(codes),
    )
    if refused:
        fail(
            f"{len(refused)} handshakes failed during the restart",
            expected="each finds an instance that is up",
            got=refused[0][:200],
        )
    for rider in ride.riders:
        judgement = judge(range(ride.sent), rider.came)
        require(judgement.clean, "a client missed something", expected="nothing", got=judgement)
