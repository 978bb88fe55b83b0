"""Framing: control frames are answered, broken frames end one connection with the right code."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from tests.harness.peer import BINARY, CLOSE, PING, PONG, TEXT, Peer
from tests.harness.subject import Subject
from tests.harness.verdict import LAST, check, fail, require, same_bytes

PROTOCOL_ERROR, NOT_UTF8, TOO_BIG = 1002, 1007, 1009
BAD_UTF8 = (b"ab\xc0\xaf", b"\xe5\xb8", b"\xed\xa0\x80")  # overlong, cut off, half a pair
HUGE = 101 << 20  # bytes that a header claims and nobody sends
LISTENS = 1.0  # seconds that a server goes on reading after its close frame
ATTEMPTS = 3  # to send the rest of a message within that time


async def ends_with(
    subject: Subject, code: int, what: str, breaks: Callable[[Peer], Awaitable[None]]
) -> None:
    """One client breaks a rule: it is closed with `code`, and nobody else notices."""
    peer = await subject.client()
    async with subject.bystander():
        await breaks(peer)
        ended = await peer.ended(f"close {code}")
        require(
            ended.code == code, f"{what} is answered wrongly", expected=f"close {code}", got=ended
        )


@check("RFC 6455 §5.5.2")
async def test_ping_is_answered(subject: Subject) -> None:
    """A ping's payload comes back in a pong.

    Opcode 9 asks, opcode 10 answers with the same payload, byte for byte. Most libraries do it
    alone, but only while somebody reads from the connection.
    """
    peer = await subject.client()

    await peer.send(PING, b"\x00payload\xff")

    pong = await peer.frame("a pong with the same payload")
    require(pong.opcode == PONG, "no pong answers the ping", expected="opcode 10", got=pong.opcode)
    same_bytes(b"\x00payload\xff", pong.payload, "the pong's payload is not the ping's")


@check("RFC 6455 §5.5")
async def test_longest_ping(subject: Subject) -> None:
    """A ping of 125 bytes, the longest there is, is answered whole.

    125 is allowed, 126 is not.
    """
    peer = await subject.client()

    await peer.send(PING, b"x" * 125)

    pong = await peer.frame("a pong of 125 bytes")
    require(pong.opcode == PONG, "no pong answers the ping", expected="opcode 10", got=pong.opcode)
    same_bytes(b"x" * 125, pong.payload, "the pong's payload is not the ping's")


@check("RFC 6455 §5.5.1")
async def test_close_is_answered(subject: Subject) -> None:
    """A close frame is answered with a close frame, and the connection ends.

    Answer with the code that came. Then the server closes TCP: it is the one to do so.
    """
    peer = await subject.client()

    await peer.send(CLOSE, (1000).to_bytes(2) + b"done")

    ended = await peer.ended("close 1000, then the end")
    require(ended.code == 1000, "close 1000 is answered wrongly", expected="close 1000", got=ended)


@check("RFC 6455 §7.4.2")
async def test_private_close_code_is_answered(subject: Subject) -> None:
    """A close code of an application's own, from 4000 to 4999, is answered as well.

    Those codes are for applications. Answer with the code that came, or with 1000.
    """
    peer = await subject.client()

    await peer.send(CLOSE, (4321).to_bytes(2) + "再见".encode())

    ended = await peer.ended("close 4321, then the end")
    right = ended.code in (1000, 4321)
    require(right, "close 4321 is answered wrongly", expected="close 4321 or 1000", got=ended)


@check("RFC 6455 §5.5.1")
async def test_close_without_a_code_is_answered(subject: Subject) -> None:
    """A close frame without a code is answered too.

    Its payload is empty, and that is right: there may be no code (a library reports it as 1005,
    which must never be sent). Do not read two bytes that are not there.
    """
    peer = await subject.client()

    await peer.send(CLOSE, b"")

    ended = await peer.ended("a close frame, then the end")
    right = ended.code in (1000, 1005)
    expected = "a close frame with no code, or 1000"
    require(right, "an empty close frame is answered wrongly", expected=expected, got=ended)


@check("Wire contract: MAX_MESSAGE_BYTES")
async def test_limit_is_allowed(subject: Subject) -> None:
    """A message of exactly MAX_MESSAGE_BYTES is let through.

    The limit is the largest size that passes, so compare with `>`. Read the limit from the
    environment: the grader sets it to a number of its own.
    """
    limit = subject.settings.max_message_bytes
    frame = b'{"type":"echo","data":"' + b"x" * (limit - 25) + b'"}'
    peer = await subject.client()

    await peer.send(TEXT, frame)

    message = await peer.message(f"an answer to a message of exactly {limit} bytes")
    require(b"x" * (limit - 25) in message.data, "the message does not come back", got=message)


@check("RFC 6455 §7.4.1 · wire contract: MAX_MESSAGE_BYTES", order=LAST)
async def test_over_the_limit(subject: Subject) -> None:
    """One byte more than MAX_MESSAGE_BYTES ends the connection with 1009.

    Without a limit one client can fill your memory. Every library has an option for it, and a
    default that is often far too large (Node's ws: 100 MiB, aiohttp: 4 MiB).
    """
    size = subject.settings.max_message_bytes + 1
    await ends_with(
        subject, TOO_BIG, "a message over the limit", lambda p: p.send(TEXT, b"x" * size)
    )


@check("RFC 6455 §7.4.1 · wire contract: MAX_MESSAGE_BYTES", order=LAST)
async def test_over_the_limit_in_fragments(subject: Subject) -> None:
    """Fragments count together: over the limit in sum is 1009 as well.

    A limit for each frame alone is none: a message may have any number of fragments.
    """
    half = subject.settings.max_message_bytes // 2 + 1

    async def breaks(peer: Peer) -> None:
        await peer.send(BINARY, b"x" * half, fin=False)
        await peer.send(0, b"x" * half, fin=True)

    await ends_with(subject, TOO_BIG, "a message over the limit", breaks)


@check("RFC 6455 §7.4.1 · wire contract: MAX_MESSAGE_BYTES", order=LAST)
async def test_huge_claim(subject: Subject) -> None:
    """A header that claims 101 MiB is refused at once, before its bytes come.

    The length stands in the first ten bytes. Compare it with the limit right there; do not wait
    for, or make room for, what may never come.
    """
    await ends_with(
        subject,
        TOO_BIG,
        "a header that claims 101 MiB",
        lambda p: p.send(BINARY, b"", length=HUGE),
    )


@check("RFC 6455 §7.1.1", order=LAST)
async def test_refused_in_mid_message(subject: Subject) -> None:
    """A client that is still sending when it is refused hears the close code, not a reset.

    After your close frame, go on reading (and throw away what comes) until the client has gone, for
    a second at most. TCP answers bytes that nobody reads with a reset: then the browser reports
    1006.
    """
    for _ in range(ATTEMPTS):
        how, took = await _refused_while_sending(subject)
        if how == "end":
            return
        if took < LISTENS / 2:
            break  # else it was we who were slow: the server need not listen for longer
    fail(
        "the server resets a client that is still sending",
        expected="it reads on until the client is done",
        got="a reset",
    )


async def _refused_while_sending(subject: Subject) -> tuple[str, float]:
    """Send on after a close 1009; returns how TCP ended, and how long we sent, in seconds."""
    size = subject.settings.max_message_bytes * 10
    peer = await subject.client()
    await peer.send(BINARY, b"x" * 1024, length=size)
    closed = await peer.frame("close 1009")
    require(closed.opcode == CLOSE, "the message is not refused", expected="close 1009")
    started = asyncio.get_running_loop().time()
    for _ in range(size // 32768):
        await peer.send_raw(b"x" * 32768, "32768 bytes more of the same message")
    await peer.send(CLOSE, (TOO_BIG).to_bytes(2))
    took = asyncio.get_running_loop().time() - started
    return (await peer.ended("the end of TCP, and no reset")).how, took


@check("RFC 6455 §5.2", order=LAST)
async def test_reserved_bit(subject: Subject) -> None:
    """A reserved bit that no extension gave a meaning ends the connection with 1002.

    The three bits after FIN are for extensions. None was agreed on here, so they have to be 0.
    """
    await ends_with(
        subject, PROTOCOL_ERROR, "a reserved bit", lambda p: p.send(TEXT, b"hello", rsv=0b100)
    )


@check("RFC 6455 §5.2", order=LAST)
async def test_unknown_opcode(subject: Subject) -> None:
    """An opcode that is not defined ends the connection with 1002.

    Defined are 0, 1, 2 and 8, 9, 10. The others are reserved for later versions.
    """
    await ends_with(subject, PROTOCOL_ERROR, "opcode 3", lambda p: p.send(0x3, b"what is this?"))


@check("RFC 6455 §5.5", order=LAST)
async def test_long_ping(subject: Subject) -> None:
    """A ping of 126 bytes ends the connection with 1002.

    Control frames carry at most 125 bytes, so that their length fits into seven bits.
    """
    await ends_with(subject, PROTOCOL_ERROR, "a long ping", lambda p: p.send(PING, b"x" * 126))


@check("RFC 6455 §5.5", order=LAST)
async def test_fragmented_ping(subject: Subject) -> None:
    """A ping with FIN=0 ends the connection with 1002.

    Control frames cannot be fragmented: they have to fit between the fragments of a message.
    """
    await ends_with(
        subject, PROTOCOL_ERROR, "a fragmented ping", lambda p: p.send(PING, b"x", fin=False)
    )


@check("RFC 6455 §5.4", order=LAST)
async def test_lone_continuation(subject: Subject) -> None:
    """A continuation of nothing ends the connection with 1002.

    Opcode 0 continues a message that was begun with FIN=0. Here none was.
    """
    await ends_with(
        subject, PROTOCOL_ERROR, "a lone continuation", lambda p: p.send(0x0, b"and so on")
    )


@check("RFC 6455 §5.4", order=LAST)
async def test_new_message_inside_another(subject: Subject) -> None:
    """A new message before the last fragment of the old one ends the connection with 1002.

    Fragments of two messages cannot be mixed: after FIN=0 only continuations and control frames may
    follow.
    """

    async def breaks(peer: Peer) -> None:
        await peer.send(TEXT, b"one ", fin=False)
        await peer.send(TEXT, b"two")

    await ends_with(subject, PROTOCOL_ERROR, "a message inside another", breaks)


@check("RFC 6455 §8.1", order=LAST)
async def test_bad_utf8(subject: Subject) -> None:
    """Text that is not UTF-8 ends the connection with 1007.

    A text message has to be UTF-8. Decode strictly; do not replace what does not fit by `�`.
    """
    for bad in BAD_UTF8:
        await ends_with(subject, NOT_UTF8, "bad UTF-8", partial(_send_text, bad))


async def _send_text(data: bytes, peer: Peer) -> None:
    await peer.send(TEXT, data)


@check("RFC 6455 §7.4.1", order=LAST)
async def test_forbidden_close_code(subject: Subject) -> None:
    """A close frame with code 1005 ends the connection with 1002.

    1005, 1006 and 1015 stand for what did not arrive; they never travel. Do not send them back
    either.
    """
    await ends_with(
        subject, PROTOCOL_ERROR, "close 1005", lambda p: p.send(CLOSE, (1005).to_bytes(2))
    )


@check("RFC 6455 §7.4.2", order=LAST)
async def test_close_code_out_of_range(subject: Subject) -> None:
    """A close frame with code 999 ends the connection with 1002.

    Codes below 1000 are not used.
    """
    await ends_with(
        subject, PROTOCOL_ERROR, "close 999", lambda p: p.send(CLOSE, (999).to_bytes(2))
    )


@check("RFC 6455 §5.5.1", order=LAST)
async def test_close_of_one_byte(subject: Subject) -> None:
    """A close frame with one byte ends the connection with 1002.

    A code has two bytes. One byte is half a code.
    """
    await ends_with(subject, PROTOCOL_ERROR, "half a close code", lambda p: p.send(CLOSE, b"\x03"))
