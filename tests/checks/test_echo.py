"""The echo: every message comes back as it was, in kind and in order."""

from tests.harness.peer import BINARY, PING, PONG, TEXT, Message
from tests.harness.subject import Subject
from tests.harness.verdict import check, fail, require, same_bytes

MANY = 10_000
BATCH = 500  # sent together before their echoes are read
LARGE = 60_000
SIZES = (0, 1, 125, 126, 127, 65_535, 65_536)
NAMES = {TEXT: "text", BINARY: "binary"}


def same(got: Message, opcode: int, data: bytes) -> None:
    """`fail()` unless the echo is the message, in kind and in bytes."""
    require(
        got.opcode == opcode,
        f"a {NAMES[opcode]} message comes back as {NAMES.get(got.opcode, got.opcode)}",
        expected=f"{NAMES[opcode]}, {data[:24].hex(' ')}",
        got=f"{NAMES.get(got.opcode, got.opcode)}, {got.data[:24].hex(' ')}",
    )
    same_bytes(data, got.data, "the bytes that come back are not the bytes that were sent")


async def echoed(subject: Subject, opcode: int, data: bytes) -> None:
    peer = await subject.client()
    await peer.send(opcode, data)
    same(await peer.message(f"{NAMES[opcode]}, {len(data)} bytes"), opcode, data)


@check("RFC 6455 §5.6")
async def test_text(subject: Subject) -> None:
    """Text comes back as text.

    Send the answer with opcode 1. Some libraries hand text to you as bytes and send bytes with
    opcode 2: then a browser shows [object Blob]. Pass the kind on (in Node's ws: `isBinary`).
    """
    await echoed(subject, TEXT, b"hello")


@check("RFC 6455 §8.1")
async def test_unicode(subject: Subject) -> None:
    """Text beyond the 16-bit characters comes back byte for byte.

    A text message is UTF-8. The length in the frame counts bytes, not characters: 👋 has four.
    """
    await echoed(subject, TEXT, "héllo 你好 👋🏽 𝄞".encode())


@check("RFC 6455 §5.6")
async def test_empty_text(subject: Subject) -> None:
    """An empty message comes back as an empty message.

    A message of length 0 is a message. `if message:` takes it for nothing.
    """
    await echoed(subject, TEXT, b"")


@check("RFC 6455 §5.2")
async def test_large(subject: Subject) -> None:
    """A message of 60,000 bytes comes back whole.

    From 126 bytes on, the length field holds 126 and the length follows in two bytes. A single read
    from TCP does not bring a whole frame: read until its length is there.
    """
    await echoed(subject, TEXT, b"0123456789" * (LARGE // 10))


@check("RFC 6455 §5.2")
async def test_every_form_of_length(subject: Subject) -> None:
    """Messages of 0, 1, 125, 126, 127, 65,535 and 65,536 bytes come back whole.

    Up to 125 the length stands in seven bits; up to 65,535 in two bytes more, after the mark 126;
    from there on in eight, after 127. The mistakes are made at the borders.
    """
    peer = await subject.client()
    for size in SIZES:
        data = b"x" * size
        await peer.send(BINARY, data)
        same(await peer.message(f"binary, {size} bytes"), BINARY, data)


@check("RFC 6455 §5.2")
async def test_byte_by_byte(subject: Subject) -> None:
    """A frame that arrives byte by byte comes back whole.

    TCP is a stream and may cut a frame anywhere, inside its header too. Read exactly as many bytes
    as you need, and wait for the rest.
    """
    peer = await subject.client()
    await peer.send_bytewise(TEXT, b"slow")
    same(await peer.message("text, 4 bytes: slow"), TEXT, b"slow")


@check("RFC 6455 §5.4")
async def test_binary_in_fragments(subject: Subject) -> None:
    """A binary message in fragments stays binary, even when its first fragment is empty.

    The kind stands in the first fragment alone, so keep it until the last. Whether a message is
    under way is not whether bytes of it have come.
    """
    peer = await subject.client()

    await peer.send(BINARY, b"", fin=False)
    await peer.send(0, b"\x00\xff", fin=False)
    await peer.send(0, b"\x10", fin=True)

    same(await peer.message("binary, 3 bytes"), BINARY, b"\x00\xff\x10")


@check("RFC 6455 §5.6")
async def test_binary(subject: Subject) -> None:
    """Binary comes back as binary, byte for byte.

    Bytes such as 00 ff 10 are no UTF-8. Whoever turns them into a string and back loses them: ff
    becomes ef bf bd. Look at the kind of the message first.
    """
    await echoed(subject, BINARY, bytes.fromhex("00ff10"))


@check("RFC 6455 §5.4")
async def test_fragments_with_a_ping_between(subject: Subject) -> None:
    """A message in fragments comes back as one, and a ping between them is answered first.

    The first fragment carries the opcode and FIN=0, the next ones opcode 0, the last FIN=1. Control
    frames may come between fragments: answer a ping at once, then go on with the message.
    """
    peer = await subject.client()

    await peer.send(TEXT, b"he", fin=False)
    await peer.send(PING, b"in between")
    pong = await peer.frame("a pong, before the message is complete")
    require(
        pong.opcode == PONG and pong.payload == b"in between",
        "the ping between two fragments is not answered by its pong",
        expected='pong "in between"',
        got=f"opcode {pong.opcode}, {pong.payload[:24].hex(' ')}",
    )
    await peer.send(0, b"l", fin=False)
    await peer.send(0, b"lo", fin=True)

    same(await peer.message("text, 5 bytes: hello"), TEXT, b"hello")


@check("RFC 6455 §8.1")
async def test_character_split_between_fragments(subject: Subject) -> None:
    """A character whose bytes lie in two fragments comes back whole.

    A message is UTF-8, a fragment need not be: fragments may be cut in the middle of a character.
    Join the bytes first, then decode.
    """
    peer = await subject.client()
    data = "帧".encode()

    await peer.send(TEXT, data[:1], fin=False)
    await peer.send(0, data[1:], fin=True)

    same(await peer.message("text, 3 bytes: 帧"), TEXT, data)


@check("Wire contract, chapter 1", costly=True)
async def test_many_in_order(subject: Subject) -> None:
    """10,000 messages come back, each once and in order.

    One connection is one stream: messages stay in order as long as you handle them one after the
    other. A task for each message, or answers that overtake one another, break that.
    """
    peer = await subject.client()
    expected = 0
    for start in range(0, MANY, BATCH):
        numbers = range(start, start + BATCH)
        raw = b"".join(_frame(number) for number in numbers)
        await peer.send_raw(raw, f"{BATCH} text frames, numbered {start} to {start + BATCH - 1}")
        for number in numbers:
            message = await peer.message(f"the echo of number {number}")
            if message.data != str(number).encode():
                fail(
                    "the messages do not come back in order",
                    expected=number,
                    got=message.data[:40].decode(errors="replace"),
                )
            expected += 1
    require(expected == MANY, "messages are missing", expected=MANY, got=expected)


def _frame(number: int) -> bytes:
    from course.frames import build
    from tests.harness.peer import MASK

    return build(TEXT, str(number).encode(), mask=MASK)


@check("Wire contract: never a second client hurt by the first")
async def test_each_client_has_its_own_echo(subject: Subject) -> None:
    """Two clients that talk at once each get their own answers.

    Keep what belongs to a connection in that connection's handler, and nothing of it in a variable
    that all of them share.
    """
    alice, bob = await subject.client(), await subject.client()

    await alice.send_text("from alice")
    await bob.send_text("from bob")

    same(await bob.message("from bob"), TEXT, b"from bob")
    same(await alice.message("from alice"), TEXT, b"from alice")
