"""Socket.IO: its packets on both transports, and the traps of its libraries."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from course.frames import build
from tests.harness.peer import CLOSE, MASK, TEXT, Peer, Response
from tests.harness.socketio_peer import (
    ACK,
    POLLING,
    SEPARATOR,
    WEBSOCKET,
    PollingPeer,
    SocketPeer,
    WebSocketPeer,
    strict_json,
)
from tests.harness.subject import ORIGIN, Subject
from tests.harness.verdict import LAST, CheckFailure, check, fail, require

TRANSPORTS = ("websocket", "polling")
BURST = 200  # events that a client sends together
ACK_SECONDS = 3.0  # to wait for an ack
SLACK = 2.0  # seconds for a busy machine
# What is not ORIGIN, http://page.example, and looks like it.
EVIL = (
    *("http://evil.example", "http://page.example.evil.example", "http://evilpage.example"),
    *("https://page.example", "http://page.example:8080", "http://sub.page.example", "null"),
    *("http://page.example.", "http://page.example@evil.example", "http://page"),
)
BAD_AUTH = ("[1,2]", '"token"', "null", "true", '[{"token":"x"}]')
# Packets of the engine and of Socket.IO that are wrong, one way each.
MALFORMED = (
    *(
        "",
        "4",
        "x",
        "9",
        "帧",
        "4x",
        "49",
        "42",
        "42{",
        "42[]",
        "42[7]",
        "42{}",
        "42[null]",
        "42[[]]",
    ),
    *('42"event"', "42[NaN]", '427"event"', "43", "43[]", "4399[1]", "43x[]", "44", '44{"m":1}'),
    *("451-[]", "459999999999-[]", '451-["publish",{"_placeholder":true,"num":9}]', "461-[]"),
    *("42/nowhere,[]", '42/nowhere,["subscribe"]', "41/nowhere,", "42" + "1" * 200 + "[]"),
    *("42" + "[" * 20_000, "4" + "[" * 20_000, "1", "2", "2probe", "5", "6", '0{"sid":"mine"}'),
)


def event(number: int | str, name: str, *data: object) -> str:
    """The packet of an event; `number` is the id of its ack, or nothing."""
    return f"42{number}{json.dumps([name, *data])}"


def room(name: str) -> dict[str, str]:
    return {"channel": name}


def said(channel: str, payload: object) -> dict[str, object]:
    return {"channel": channel, "event": "check:said", "payload": payload}


async def acked(peer: SocketPeer, number: int) -> dict[str, Any]:
    """The next packet, which has to be the ack of this id; its one argument."""
    expected = f'43{number}[{{"ok":…}}]'
    packet = await peer.packet(expected, ACK_SECONDS)
    ack = ACK.fullmatch(packet)
    if ack is None or int(ack[1]) != number:
        fail("another packet comes where the ack is due", expected=expected, got=packet[:200])
    answer = strict_json(ack[2])
    right = (
        len(answer) == 1 and isinstance(answer[0], dict) and answer[0].get("ok") in (True, False)
    )
    require(right, "an ack is of another form", expected=expected, got=packet[:200])
    return dict(answer[0])


async def answer_or_end(peer: SocketPeer, expecting: str) -> str:
    """The next packet, or nothing if the server ends this client: then it has heard as well."""
    try:
        packet = await peer.packet(expecting, ACK_SECONDS)
        while packet == "6":  # a poll that ends with nothing in it
            packet = await peer.packet(expecting, ACK_SECONDS)
    except CheckFailure as failure:
        if failure.got == "nothing":
            raise
        return ""
    return "" if packet == "1" else packet


async def granted(peer: SocketPeer, number: int, name: str, data: object) -> dict[str, Any]:
    """Emit, and get the ack that says so."""
    await peer.send_packets(event(number, name, data))
    answer = await acked(peer, number)
    require(answer["ok"] is True, f"{name} is not granted", expected='{"ok":true,…}', got=answer)
    return answer


async def refused(peer: SocketPeer, number: int, packet: str, *codes: str) -> None:
    """Send the packet, and get an ack with an error of one of these codes, or of any."""
    await peer.send_packets(packet)
    answer = await acked(peer, number)
    error: Any = answer.get("error")
    about = f"the ack of {packet[:60]} is wrong"
    expected = f'{{"ok":false,"error":{{"code":"{" or ".join(codes) or "…"}","message":…}}}}'
    right = answer["ok"] is False and isinstance(error, dict)
    right = right and isinstance(error.get("message"), str) and isinstance(error.get("code"), str)
    require(right and (not codes or error["code"] in codes), about, expected=expected, got=answer)


async def post(subject: Subject, path: str, body: bytes, **headers: str) -> Response:
    """One POST on a connection of its own."""
    peer = Peer(subject.exchange, "http")
    await peer.dial(subject.host, subject.port)
    headers |= {"Content-Type": "text/plain;charset=UTF-8", "Content-Length": str(len(body))}
    response = await peer.request(path, method="POST", headers=headers, upgrade=False, body=body)
    await peer.close()
    return response


async def nobody_left(subject: Subject, channel: str, others: int = 0) -> None:
    """Whoever was in this channel has left it, by whatever way."""
    within = 3 * subject.settings.heartbeat + SLACK
    await subject.until_members(channel, others, within)


# Coming in


@check("Engine.IO protocol 4, handshake")
async def test_open_packet(subject: Subject) -> None:
    """The first packet is `0{…}`: the session, the upgrades, the heartbeat, the limit.

    Over polling it is the body of the first GET, and `upgrades` offers websocket; over a WebSocket
    it is the first frame, and there is nothing to upgrade to.

    pingInterval is the server's HEARTBEAT_SECONDS, in milliseconds. python-engineio cuts a fraction
    of a second off: 0.3 s is announced as 0. Round up to whole seconds.
    """
    for transport, upgrades in (("websocket", []), ("polling", ["websocket"])):
        peer = await subject.socket(transport, entered=False)
        await peer.open()

        opened, beat = peer.opened, subject.settings.heartbeat * 1000
        require(
            opened["upgrades"] == upgrades,
            f"the upgrades over {transport} are wrong",
            expected=upgrades,
            got=opened["upgrades"],
        )
        right = beat <= opened["pingInterval"] < beat + 1000
        require(right, "pingInterval is wrong", expected=beat, got=opened["pingInterval"])
        most = opened["maxPayload"]
        require(
            abs(most - subject.settings.max_message_bytes) <= 1,
            "maxPayload is not MAX_MESSAGE_BYTES",
            expected=subject.settings.max_message_bytes,
            got=most,
        )


@check("Socket.IO protocol 5, connection to a namespace")
async def test_nothing_before_the_connect(subject: Subject) -> None:
    """A client that has not been let in gets no event; the answer to its `40` comes first.

    The engine is open, the namespace is not entered: no event may reach it, whoever publishes. With
    python-socketio an emit to everybody reaches clients whose connect handler still runs, and one
    inside the handler comes before the `40`: emit to rooms, and join them after.
    """
    for transport in TRANSPORTS:
        member = await subject.member("room:before")
        waiting = await subject.socket(transport, entered=False)
        await waiting.open()
        waiting.start_reading()

        for number in range(3):
            await member.publish("room:before", payload=number)
        await waiting.send_packets("40")

        packet = await waiting.packet("40{…}")
        require(packet[:3] == "40{", "something comes first", expected="40{…}", got=packet[:200])
        await refused(waiting, 2, event(2, "publish", said("room:before", 1)), "not_subscribed")


@check("Socket.IO protocol 5, connection to a namespace")
async def test_every_connect_is_answered(subject: Subject) -> None:
    """Whatever `auth` a client sends, its `40` gets an answer: let in, or refused aloud with `44`.

    `auth` is any JSON. A handler that takes it for an object raises an error on a list, and with
    python-socketio that client is then neither in nor out: it hears nothing, and is never removed.

    Catch everything in the connect handler and make it a ConnectionRefusedError with a code.
    """
    for auth in BAD_AUTH:
        for transport in TRANSPORTS:
            peer = await subject.socket(transport, entered=False)
            await peer.open()
            peer.start_reading()
            await peer.send_packets("40" + auth)
            expected = '40{"sid":…}, 44{"message":…} or the end of the connection'
            packet = await answer_or_end(peer, expected)
            if not packet:
                continue
            body = strict_json(f"[{packet[2:]}]")[0]
            if packet[:2] == "40":
                right = isinstance(body, dict) and "sid" in body
            else:
                right = packet[:2] == "44" and isinstance(body, dict) and bool(body.get("message"))
            require(right, f"40{auth} is not answered", expected=expected, got=packet[:200])
    if subject.is_process:
        await subject.exchange.close()
        await subject.until(
            "no connection, after all of them have left", lambda stats: stats.connections == 0
        )


@check("Socket.IO protocol 5, connection to a namespace")
async def test_other_namespaces(subject: Subject) -> None:
    """A namespace that is not there is refused with `44/name,…`, and "/" does not notice.

    One engine carries many namespaces. The refusal names the one it is about.
    """
    for transport in TRANSPORTS:
        peer = await subject.socket(transport)
        await peer.send_packets("40/nowhere,")

        packet = await peer.packet("44/nowhere,…")
        right = packet.startswith("44/nowhere,")
        require(right, "the namespace is not refused", expected="44/nowhere,…", got=packet[:200])
        await granted(peer, 1, "subscribe", room("room:namespace"))


@check("RFC 6454 · Engine.IO protocol 4, handshake")
async def test_origin_is_exact(subject: Subject) -> None:
    """An Origin that is not in the list gets no session, over polling or a WebSocket.

    CORS headers keep a page from reading an answer, not from opening a WebSocket: refuse the
    handshake itself, on both transports. Compare whole strings; a pattern without anchors lets
    page.example.evil.example in.

    A client without an Origin is no browser, and is let in.
    """
    for transport, path in (("websocket", WEBSOCKET), ("polling", POLLING)):
        for origin in (*EVIL, ORIGIN if subject.is_process else None, None):
            peer = await subject.dial()
            headers = {} if origin is None else {"Origin": origin}
            response = await peer.request(path, headers=headers, upgrade=transport == "websocket")
            await peer.close()

            right = (200, 101)[transport == "websocket"]
            about = f"the handshake over {transport} with Origin {origin} is answered wrongly"
            if origin in EVIL:
                good = 400 <= response.status < 500
                require(good, about, expected="400 or 403", got=response)
            else:
                require(response.status == right, about, expected=right, got=response)


@check("Wire contract: settings", order=LAST)
async def test_no_origin_is_not_every_origin(subject: Subject) -> None:
    """A list of Origins that is empty does not let everybody in.

    python-socketio takes `[]` for "do not look". ALLOWED_ORIGINS="," has to mean nobody, or the
    server's own page, and never every page there is.
    """
    subject.need_process()
    process = subject.new_process(ALLOWED_ORIGINS=",")
    await process.start()
    subject.exchange.closers.append(process.stop)
    await process.ready()
    for path, upgrade in ((WEBSOCKET, True), (POLLING, False)):
        peer = Peer(subject.exchange)
        await peer.dial("127.0.0.1", process.port)
        response = await peer.request(path, headers={"Origin": EVIL[0]}, upgrade=upgrade)
        good = 400 <= response.status < 500
        require(good, "an empty list lets every page in", expected="400 or 403", got=response)


# Events and acks


@check("Wire contract, chapter 10")
async def test_every_event_gets_its_ack(subject: Subject) -> None:
    """Each event with an id gets one ack, {"ok":true,"data":…} or {"ok":false,"error":…}.

    The handler's return value becomes the ack. Without an id nobody waits for one, and none comes.
    """
    for transport in TRANSPORTS:
        peer = await subject.socket(transport)
        channel = room("room:acks")
        answer = await granted(peer, 7, "subscribe", channel)
        require(answer.get("data") == channel, "the data is wrong", expected=channel, got=answer)
        await peer.send_packets(
            event("", "unsubscribe", channel), event("", "subscribe", channel), event("", "nope")
        )
        answer = await granted(peer, 12345678901, "publish", said("room:acks", 1) | {"self": False})
        got, expected = answer.get("data"), channel | {"receivers": 0}
        require(got == expected, "the data is wrong", expected=expected, got=got)
        await refused(peer, 0, event(0, "publish", said("room:none", 1)), "not_subscribed")
        answer = await granted(peer, 8, "unsubscribe", channel)
        require(answer.get("data") == channel, "the data is wrong", expected=channel, got=answer)


@check("Wire contract, chapter 10")
async def test_unknown_event(subject: Subject) -> None:
    """An event that is not known gets an ack with `unknown_type`; nobody waits in vain.

    Libraries answer nothing: the promise of `emitWithAck` then never ends. Let one function see all
    events: in python-socketio that is `trigger_event` of a namespace class.
    """
    names = ("nope", "chat:said", "", "on_subscribe", "__class__", "message", "帧", "x" * 10_000)
    for transport in TRANSPORTS:
        peer = await subject.socket(transport)
        for number, name in enumerate(names, 1):
            await refused(peer, number, event(number, name, {}), "unknown_type")


@check("Wire contract, chapter 10")
async def test_failing_event(subject: Subject) -> None:
    """An event with wrong arguments gets an ack with an error: none, one too many, the wrong kind.

    A handler that is called with other arguments than it has raises a TypeError, and an exception
    in a handler sends no ack. Take what comes, look at it, and answer.
    """
    wrong = ("", ",null", ",7", ',"room:a"', ",[]", ",{}", ',{"channel":null}', ',{},{},{"a":1}')
    for transport in TRANSPORTS:
        peer = await subject.socket(transport)
        for number, arguments in enumerate(wrong, 1):
            for name in ("subscribe", "unsubscribe", "publish"):
                packet = f'42{number}["{name}"{arguments}]'
                await refused(peer, number, packet, "bad_request", "bad_message")
        await granted(peer, 99, "subscribe", room("room:still-here"))


@check("Wire contract, chapter 10")
async def test_reserved_events(subject: Subject) -> None:
    """An event called `disconnect` or `connect` runs nothing of the server's own.

    Socket.IO's client refuses to emit these names; a raw one does not. In python-socketio they call
    the same handler as a real disconnect: the server would clean up after a client that is there.
    """
    for transport in TRANSPORTS:
        peer = await subject.socket(transport)
        other = await subject.member("room:reserved")
        await granted(peer, 1, "subscribe", room("room:reserved"))
        ended = False
        for number, arguments in enumerate(('"disconnect"', '"connect"', '"disconnect","bye"'), 2):
            await peer.send_packets(f"42{number}[{arguments}]")
            expected = f'43{number}[{{"ok":false,…}}] or the end of the connection'
            packet = await answer_or_end(peer, expected)
            if ended := not packet:
                break
            right = packet.startswith(f"43{number}[") and '"ok":false' in packet.replace(" ", "")
            require(right, f"[{arguments}] is taken", expected=expected, got=packet[:200])

        if not ended:
            sent_to = await other.publish("room:reserved", payload="all here?")
            require(sent_to == 2, "the server took it for gone", expected="2", got=sent_to)
            packet = await peer.packet("the event")
            require("all here?" in packet, "another packet comes", expected="it", got=packet)
            members = (await subject.stats()).members("room:reserved")
            require(members == 2, "the statistics count wrongly", expected=2, got=members)
            await peer.send(CLOSE, (1000).to_bytes(2))
        await other.close()
        await nobody_left(subject, "room:reserved")


@check("Wire contract, chapter 10")
async def test_order(subject: Subject) -> None:
    """The events of one client are handled in the order it sent them, and so are the acks.

    With a task for each event, one that waits is overtaken by the next: a publish before its
    subscribe, an old value after the new one. In python-socketio that is async_handlers=True, the
    default.
    """
    for transport in TRANSPORTS:
        listener = await subject.member("room:order")
        peer = await subject.socket(transport)
        packets = [event(1, "subscribe", room("room:order"))]
        for number in range(2, 60, 2):
            packets.append(event(number, "publish", said("room:order", number) | {"self": False}))
            packets.append(event(number + 1, "unsubscribe", room("room:other")))
        await peer.send_packets(*packets, text=f"{len(packets)} events, in one write")

        for number in range(1, 60):
            answer = await acked(peer, number)
            require(answer["ok"] is True, f"event {number} is refused", expected="ok", got=answer)
        for number in range(2, 60, 2):
            await listener.hears("room:order", payload=number)
        await listener.close()


@check("Wire contract, chapter 10")
async def test_empty_room_reaches_nobody(subject: Subject) -> None:
    """What is published where nobody is, or nobody else, reaches nobody.

    In python-socketio to=[], to="" and to=None all mean everybody: a list of receivers that happens
    to be empty turns a whisper into a broadcast. Return early.
    """
    everybody = [await subject.socket(transport) for transport in TRANSPORTS]
    alone = await subject.member("room:alone")

    sent_to = await alone.publish("room:alone", payload="whisper", more={"self": False})
    require(sent_to == 0, "receivers is wrong", expected=0, got=sent_to)
    body = json.dumps(said("room:nobody", "whisper")).encode()
    response = await subject.http("POST", "/api/publish", body)
    right = response.status == 202 and json.loads(response.body).get("receivers") == 0
    require(right, "the publish over HTTP is answered wrongly", expected=0, got=response.body)

    await alone.hears_nothing("it was skipped")
    for peer in everybody:
        await refused(peer, 1, event(1, "publish", said("room:nobody", 1)), "not_subscribed")


@check("Socket.IO protocol 5, disconnection")
async def test_disconnect_packet(subject: Subject) -> None:
    """`41` leaves the namespace and every room; with `40` the same engine enters anew.

    The sid is another then, and nothing is left of the rooms: they belong to the sid.
    """
    for transport in TRANSPORTS:
        other = await subject.member("room:again")
        peer = await subject.socket(transport)
        await granted(peer, 1, "subscribe", room("room:again"))
        await peer.send_packets("41")
        await nobody_left(subject, "room:again", others=1)

        await peer.send_packets("40")
        packet = await peer.packet("40{…}")
        require(packet[:3] == "40{", "it is not let in again", expected="40{…}", got=packet[:200])
        await refused(peer, 2, event(2, "publish", said("room:again", 1)), "not_subscribed")
        await other.close()


# Transports


@check("Engine.IO protocol 4, heartbeat")
async def test_heartbeat(subject: Subject) -> None:
    """The server sends `2` every interval; who answers `3` stays, and who does not is dropped.

    The engine has a heartbeat of its own, as messages, so that a page sees it too. Without an
    answer for pingTimeout the client is gone, whatever else it sends.
    """
    beat = subject.settings.heartbeat
    answering = [await subject.socket(transport) for transport in TRANSPORTS]
    mute = [await subject.socket(transport) for transport in TRANSPORTS]
    for peer in (*answering, *mute):
        await granted(peer, 1, "subscribe", room("room:beat"))
    for peer in mute:
        peer.answers = False

    await subject.until_members("room:beat", len(answering), 3 * beat + SLACK)

    for peer in answering:
        few = f"{len(peer.beats)} pings came"
        require(len(peer.beats) >= 1, few, expected="one each interval", got=len(peer.beats))
        await granted(peer, 2, "subscribe", room("room:beat"))


@check("Engine.IO protocol 4, upgrade")
async def test_upgrade(subject: Subject) -> None:
    """A client that polls goes over to a WebSocket, and loses nothing on the way.

    It opens the WebSocket with its sid, sends `2probe`, gets `3probe`; a `6` ends the poll that
    still waits; then it sends `5`, and from there on everything comes in frames.
    """
    member = await subject.member("room:upgrade")
    polling = await subject.socket("polling", background=False)
    await granted(polling, 1, "subscribe", room("room:upgrade"))
    await member.publish("room:upgrade", payload="before")
    before = await polling.packet("the event before the upgrade")
    line = WebSocketPeer(subject.exchange, polling.name)
    await line.dial(subject.host, subject.port)

    response = await line.request(f"{WEBSOCKET}&sid={polling.opened['sid']}")
    require(response.status == 101, "the upgrade is refused", expected=101, got=response)
    waiting = asyncio.create_task(polling.packet("6, which ends the poll"))  # its last one
    await line.send_packets("2probe")
    probe = await line.packet("3probe")
    require(probe == "3probe", "the probe is not answered", expected="3probe", got=probe)
    noop = await waiting
    require(noop == "6", "the waiting poll is not ended", expected="6", got=noop)
    await member.publish("room:upgrade", payload="meanwhile")
    await line.send_packets("5")
    line.start_reading()
    await member.publish("room:upgrade", payload="after")

    packets = [before]
    while len(packets) < 3:
        packets += [packet for packet in [await line.packet("an event")] if packet != "6"]
    heard = [strict_json(packet[2:])[1]["data"] for packet in packets]
    expected = ["before", "meanwhile", "after"]
    require(heard == expected, "events are lost or out of order", expected=expected, got=heard)


@check("Engine.IO protocol 4, payloads")
async def test_burst_over_polling(subject: Subject) -> None:
    """200 events in one POST are 200 acks; a POST that comes in pieces is read to its end.

    A client that polls puts all that waits into one body. python-engineio takes 16 packets and
    drops the whole body if there are more, with a 200: set Payload.max_decode_packets.

    A body of 60 KB comes in many reads. What one read returns is the first part of it.
    """
    peer = await subject.socket("polling")
    packets = [event(number, "subscribe", room(f"room:{number % 50}")) for number in range(1, 201)]
    await peer.send_packets(*packets)
    for number in range(1, BURST + 1):
        answer = await acked(peer, number)
        require(answer["ok"] is True, f"event {number} is refused", expected="ok", got=answer)

    large = event(201, "publish", said("room:1", "x" * 60_000)).encode()
    head = f"POST {POLLING}&sid={peer.opened['sid']} HTTP/1.1\r\nHost: {subject.host}\r\n"
    head += f"Content-Type: text/plain;charset=UTF-8\r\nContent-Length: {len(large)}\r\n\r\n"
    slow = await subject.dial()
    for part in (head.encode(), large[:20_000], large[20_000:40_000], large[40_000:]):
        await slow.send_raw(part, f"{len(part)} bytes of a POST")
        # Nothing tells when a server has read. Two parts that it reads together are right as well:
        # the pause makes a wrong server show itself, and a right one never fails for want of it.
        await asyncio.sleep(0.05)

    packet = await peer.packet("the event of 60 KB")
    require(len(packet) > 60_000, "it is not the event", expected="60 KB", got=packet[:100])
    await acked(peer, 201)


# What may be too much


@check("RFC 6455 §7.4.1 · wire contract, chapter 10", order=LAST)
async def test_oversized(subject: Subject) -> None:
    """A packet over MAX_MESSAGE_BYTES ends its client with 1009, or its POST with 4xx; others live.

    Exactly that many bytes pass. Both transports have a way in: a WebSocket message, and the body
    of a POST, which may hold many packets.
    """
    most = subject.settings.max_message_bytes
    witness = await subject.member("room:large")
    packet = event(1, "subscribe", room("room:large") | {"padding": ""})
    fits = packet.replace('"padding": ""', f'"padding": "{"x" * (most - len(packet))}"')
    for transport in TRANSPORTS:
        peer = await subject.socket(transport)
        await peer.send_packets(fits)
        await acked(peer, 1)
        await subject.until_members("room:large", 2)
        if isinstance(peer, PollingPeer):
            path = f"{POLLING}&sid={peer.opened['sid']}"
            response = await post(subject, path, b"4" + b"x" * (most + 100))
            require(
                400 <= response.status < 500, "it is taken", expected="413 or 400", got=response
            )
            await peer.send(CLOSE)  # as Socket.IO's own client does after such an answer
        else:
            await peer.stop_reading()
            await peer.send_raw(
                build(TEXT, (fits + "x").encode(), mask=MASK), f"text of {most + 1} bytes"
            )
            ended = await peer.ended("close 1009")
            require(ended.code == 1009, "the close code is wrong", expected=1009, got=ended)
        await nobody_left(subject, "room:large", others=1)
        await witness.hears_nothing("nothing was published")


async def send_anyhow(subject: Subject, peer: SocketPeer, packet: str) -> None:
    """Send it, whatever the answer to a POST may be."""
    if isinstance(peer, PollingPeer):
        await post(subject, f"{POLLING}&sid={peer.opened['sid']}", packet.encode())
    else:
        await peer.send_packets(packet)


async def never_mind(subject: Subject, packets: Iterable[str], transport: str) -> None:
    """Send each on a client of its own; whatever becomes of that client, the server goes on."""
    for packet in packets:
        await send_anyhow(subject, await subject.socket(transport), packet)


@check("Socket.IO protocol 5 · wire contract, chapter 10", order=LAST)
async def test_malformed_packets(subject: Subject) -> None:
    """A packet that is none harms at most the client that sent it.

    Log it and go on, or end that client: never an exception that ends the process, and never a
    client that stays in the statistics after it has gone.

    JSON that only your language reads, like NaN, would come out of the other clients' parsers as an
    error: refuse it on the way in.
    """
    witnesses = [await subject.member("room:witness") for _ in range(2)]
    for transport in TRANSPORTS:
        await never_mind(subject, MALFORMED, transport)
        body = '{"channel":"room:witness","event":"check:said","payload":'
        for value in ("NaN", "Infinity", "-Infinity"):
            bad = await subject.socket(transport)
            await granted(bad, 1, "subscribe", room("room:witness"))
            await send_anyhow(subject, bad, f'422["publish",{body}{value}}}]')
            await bad.close()
        for witness in witnesses:
            await witness.publish("room:witness", payload="still there?")
        for witness in witnesses:
            for _ in witnesses:
                await witness.hears("room:witness", payload="still there?")
    for body_ in (b"\xff\xfe", b"", b"42[", SEPARATOR.encode() * 1000):
        peer = await subject.socket("polling")
        await post(subject, f"{POLLING}&sid={peer.opened['sid']}", body_)
    for query in ("&sid=nobody", "&sid=", "&EIO=3", "&transport=pigeon"):
        response = await subject.http("GET", f"/socket.io/?transport=polling{query}")
        require(400 <= response.status < 500, f"{query} is taken", expected="4xx", got=response)
        response = await post(subject, f"/socket.io/?EIO=4&transport=polling{query}", b"40")
        require(400 <= response.status < 500, f"{query} is taken", expected="4xx", got=response)
    for witness in witnesses:
        await witness.hears_nothing("nothing was published")
