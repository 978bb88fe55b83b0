"""The envelope: one shape for every message, and exactly one answer to each."""

import json
import time
from typing import Any

from tests.harness.peer import BINARY, PING, PONG, TEXT, Peer
from tests.harness.subject import Subject
from tests.harness.verdict import LAST, check, fail, require

MANY = 1000
DAY = 86_400_000  # milliseconds that the server's clock may be off
BATCH = 100  # bad messages sent together before their errors are read


async def ask(peer: Peer, message: dict[str, Any], expecting: str) -> dict[str, Any]:
    await peer.send_json(message)
    return await peer.json(expecting)


def is_error(reply: dict[str, Any], code: str, request_id: str | None = None) -> None:
    """`fail()` unless the reply is an error of this code, with this requestId and a message."""
    expected = f'{{"type":"error","data":{{"code":"{code}","message":…}}}}'
    got = json.dumps(reply, ensure_ascii=False)[:200]
    require(reply.get("type") == "error", "the reply is no error", expected=expected, got=got)
    data = reply.get("data")
    if not isinstance(data, dict):
        fail("an error has data", expected=expected, got=got)
    require(data.get("code") == code, "the code is another", expected=expected, got=got)
    require(
        isinstance(data.get("message"), str) and data["message"],
        "an error says in words what is wrong",
        expected=expected,
        got=got,
    )
    require(
        reply.get("requestId") == request_id,
        "the requestId is wrong",
        expected=request_id or "no requestId",
        got=got,
    )
    has_time(reply)


def has_time(reply: dict[str, Any]) -> None:
    ts = reply.get("ts")
    right = isinstance(ts, int | float) and not isinstance(ts, bool)
    got = json.dumps(reply, ensure_ascii=False)[:200]
    require(right, "a message of the server has no ts", expected='"ts": milliseconds', got=got)
    now = time.time() * 1000
    require(abs(ts - now) < DAY, "ts is not now, in milliseconds", expected=int(now), got=ts)  # type: ignore[operator]


async def one_error_each(
    subject: Subject,
    bad: list[str | bytes],
    code: str = "bad_message",
    request_id: str | None = None,
) -> None:
    """Each bad message gets one error and nothing more, and the connection lives on."""
    peer = await subject.client()
    for number, message in enumerate(bad):
        if isinstance(message, bytes):
            await peer.send(BINARY, message)
        else:
            await peer.send_text(message)
        is_error(await peer.json(f"an error {code}"), code, request_id)
        marker = f"after-{number}"
        pong = await ask(peer, {"type": "ping", "requestId": marker}, f"the pong for {marker}")
        require(
            pong.get("type") == "pong" and pong.get("requestId") == marker,
            "there is more than one reply to a bad message",
            expected="one error, then the pong",
            got=json.dumps(pong, ensure_ascii=False)[:200],
        )
        has_time(pong)


@check("Wire contract, chapter 3")
async def test_welcome_names_the_heartbeat(subject: Subject) -> None:
    """The welcome says how often the server's heart beats.

    {"type":"welcome","ts":…,"data":{"heartbeatMs":…}}, HEARTBEAT_SECONDS in milliseconds: the
    client takes its own deadline from it.
    """
    peer = await subject.connect()

    welcome = await peer.welcome()

    data = welcome.get("data")
    got = data.get("heartbeatMs") if isinstance(data, dict) else data
    expected = round(subject.settings.heartbeat * 1000)
    require(got == expected, "data.heartbeatMs is wrong", expected=expected, got=got)


@check("Wire contract, chapter 3")
async def test_echo(subject: Subject) -> None:
    """`echo` is answered with `echo` and the same data.

    The data can be any JSON: an object, a list, a string, a number, true, null, text beyond ASCII.
    """
    peer = await subject.client()
    anything: list[object] = [{"word": "帧 👋", "list": [1, [2.5]]}, "text", [], 7, True, None]
    for data in anything:
        reply = await ask(peer, {"type": "echo", "data": data}, "an echo with the same data")

        got = json.dumps(reply, ensure_ascii=False)[:200]
        require(reply.get("type") == "echo", "the reply is no echo", expected="echo", got=got)
        require(
            reply.get("data", "missing") == data,
            "the data is another",
            expected=json.dumps(data, ensure_ascii=False),
            got=got,
        )
        has_time(reply)


@check("Wire contract: envelope")
async def test_request_ids(subject: Subject) -> None:
    """Each reply carries the requestId of its own request, and only then.

    Several requests can be under way. The client finds the reply to each by its requestId, so copy
    it into the reply, into an error as well. A request without one gets a reply without one.
    """
    peer = await subject.client()
    wanted: list[str | None] = ["a", "x" * 128, "编" * 128, None, ""]
    for request_id in wanted:
        message = {"type": "echo", "data": 1, "requestId": request_id}
        await peer.send_json({k: v for k, v in message.items() if v is not None})

    for request_id in wanted:
        reply = await peer.json(f"the reply to {request_id!r}")
        require(
            reply.get("requestId") == request_id,
            "the requestId is wrong",
            expected=repr(request_id),
            got=repr(reply.get("requestId")),
        )
        has_time(reply)


@check("Wire contract: never a second client hurt by the first")
async def test_each_client_has_its_own_replies(subject: Subject) -> None:
    """Two clients that ask at once each get their own reply, and nothing else.

    A reply goes to the connection that asked. Not to the latest one, and not to all.
    """
    alice, bob = await subject.client(), await subject.client()

    await alice.send_json({"type": "echo", "data": "from alice", "requestId": "a"})
    await bob.send_json({"type": "echo", "data": "from bob", "requestId": "b"})

    for peer, request_id in ((bob, "b"), (alice, "a")):
        reply = await peer.json(f"the echo of request {request_id}")
        got = reply.get("requestId")
        require(got == request_id, "a reply goes to another client", expected=request_id, got=got)
        has_time(reply)
    for peer in (alice, bob):
        pong = await ask(
            peer, {"type": "ping", "requestId": "end"}, "its own pong and nothing more"
        )
        require(pong.get("requestId") == "end", "a client gets another one's reply", got=pong)


@check("RFC 6455 §5.4")
async def test_message_in_fragments(subject: Subject) -> None:
    """An envelope in fragments, cut inside a character, with a ping between, gets one reply.

    Fragments are joined before they are decoded, and control frames may come between them.
    """
    peer = await subject.client()
    data = '{"type":"echo","data":"帧","requestId":"parts"}'.encode()
    cut = data.index("帧".encode()) + 1

    await peer.send(TEXT, data[:cut], fin=False)
    await peer.send(PING, b"in between")
    pong = await peer.frame("a pong, before the message is complete")
    require(
        pong.opcode == PONG and pong.payload == b"in between",
        "the ping between two fragments is not answered by its pong",
        expected='pong "in between"',
        got=f"opcode {pong.opcode}, {pong.payload[:24].hex(' ')}",
    )
    await peer.send(0, data[cut:], fin=True)

    reply = await peer.json("the echo")
    require(reply.get("data") == "帧", "the data is another", expected="帧", got=reply)
    has_time(reply)


@check("Wire contract: envelope")
async def test_unknown_fields_are_ignored(subject: Subject) -> None:
    """Fields that the server does not know do no harm.

    The next version of a client will send more. Look at the fields you know, pass over the others.
    """
    peer = await subject.client()

    reply = await ask(peer, {"type": "echo", "data": 1, "later": {"a": []}, "ts": 0}, "an echo")

    require(reply.get("type") == "echo", "an unknown field is refused", got=reply)
    require("later" not in reply, "an unknown field comes back", got=reply)


@check("Wire contract: error codes")
async def test_unknown_type(subject: Subject) -> None:
    """A type that the server does not know gets one error `unknown_type`, with the requestId.

    Silence leaves the client waiting; closing punishes it for being newer than the server.
    """
    names = ("dance", "", "PING", "constructor", "__proto__", "toString", "__class__")
    unknown = [f'{{"type":"{name}","requestId":"7"}}' for name in names]
    await one_error_each(subject, [*unknown], code="unknown_type", request_id="7")


@check("Wire contract: error codes")
async def test_not_json(subject: Subject) -> None:
    """Text that is no JSON gets one error `bad_message`.

    Catch the parser's error at the one place where you parse. An empty `catch {}` hides it from the
    client and from you.
    """
    await one_error_each(subject, ["not JSON", "", '{"type":"ping"', "{'type':'ping'}"])


@check("Wire contract: error codes")
async def test_not_an_object(subject: Subject) -> None:
    """JSON that is no object gets one error `bad_message`.

    null, a list, a number and a string are JSON too. Asking them for `type` throws in most
    languages.
    """
    await one_error_each(subject, ["null", '[{"type":"ping"}]', "42", '"ping"', "true"])


@check("Wire contract: error codes")
async def test_type_is_a_string(subject: Subject) -> None:
    """A message without a type, or with one that is no string, gets one error `bad_message`.

    Check the kind of what you read before you use it: {"type":{}} must not become a key of a table.
    """
    bad = ["{}", '{"type":7}', '{"type":null}', '{"type":["ping"]}', '{"type":{}}']
    await one_error_each(subject, [*bad])
    with_id = ['{"type":7,"requestId":"q"}', '{"requestId":"q"}']
    await one_error_each(subject, [*with_id], request_id="q")


@check("Wire contract: envelope")
async def test_request_id_is_a_short_string(subject: Subject) -> None:
    """A requestId that is no string, or longer than 128 characters, gets one error `bad_message`.

    You will keep request ids and write them to logs, so do not take a megabyte for one. The error
    itself carries no requestId: there was none.
    """
    long = json.dumps({"type": "ping", "requestId": "x" * 129})
    bad = ['{"type":"ping","requestId":7}', '{"type":"ping","requestId":{}}', long]
    await one_error_each(subject, [*bad])


@check("RFC 8259 §6")
async def test_numbers_that_are_not_json(subject: Subject) -> None:
    """NaN, Infinity and 1e999 get one error `bad_message`.

    Python's json reads NaN, and 1e999 as Infinity, and writes both; no browser can read that back.
    JSON has no such numbers: refuse them when you read (parse_constant, parse_float).
    """
    values = ("NaN", "Infinity", "-Infinity", "1e999")
    await one_error_each(subject, [f'{{"type":"echo","data":{value}}}' for value in values])


@check("Wire contract: error codes")
async def test_binary_is_refused(subject: Subject) -> None:
    """A binary message gets one error `bad_message`.

    The envelope is JSON in a text frame. Bytes that happen to be JSON are refused as well.
    """
    await one_error_each(subject, [b"\x00\xff\x10", b'{"type":"ping"}', b""])


@check("RFC 8259 §9", order=LAST)
async def test_deep_nesting(subject: Subject) -> None:
    """Thirty thousand brackets get one error `bad_message`, at any depth there is one reply.

    A parser that calls itself for each bracket runs out of stack: in Python that is RecursionError,
    which is no ValueError. What could be read may still be too deep to write.
    """
    await one_error_each(subject, ["[" * 30_000, '{"a":' * 10_000])
    peer = await subject.client()
    for depth in (50, 500, 900, 990, 1_000, 5_000):
        nested = "[" * depth + "]" * depth
        await peer.send_text(f'{{"type":"echo","data":{nested},"requestId":"{depth}"}}')
        reply = await peer.json(f"an echo or an error for depth {depth}")
        kind = reply.get("type")
        require(kind in ("echo", "error"), "the reply is neither", expected="echo, error", got=kind)


@check("RFC 8259 §8.2", order=LAST)
async def test_lone_surrogate(subject: Subject) -> None:
    """Half a character, written as \\ud800, gets one reply and breaks nothing.

    JSON can write it, UTF-8 cannot: a string with a lone surrogate breaks when it is encoded. Write
    replies with such characters escaped, or refuse the message.
    """
    peer = await subject.client()
    await peer.send_text('{"type":"echo","data":"\\ud800","requestId":"half"}')
    reply = await peer.json("an echo or an error")
    kind = reply.get("type")
    require(kind in ("echo", "error"), "the reply is neither", expected="echo, error", got=kind)
    pong = await ask(peer, {"type": "ping"}, "a pong")
    require(pong.get("type") == "pong", "the connection does not go on", got=pong)


@check("Wire contract, chapter 3", order=LAST, costly=True)
async def test_thousand_bad_messages(subject: Subject) -> None:
    """A thousand bad messages get a thousand errors, and the connection lives on.

    An error never closes the connection by itself, and nothing may pile up with each of them.
    """
    peer = await subject.client()
    for _ in range(MANY // BATCH):
        for _ in range(BATCH):
            await peer.send_text("{bad")
        for _ in range(BATCH):
            is_error(await peer.json("an error bad_message"), "bad_message")
    pong = await ask(peer, {"type": "ping", "requestId": "end"}, "the pong after them")
    require(pong.get("type") == "pong", "the connection does not go on", got=pong)
