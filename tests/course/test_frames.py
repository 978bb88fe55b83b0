"""Frames as bytes: what is built, what is read back, and how it is told."""

from __future__ import annotations

import itertools
import random

import pytest
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame as LibraryFrame
from websockets.frames import Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from course import frames
from course.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, FrameReader, TalkReader

MASK = bytes.fromhex("37fa213d")
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def read(raw: bytes, **options: object) -> list[frames.Item]:
    return FrameReader(**options).feed(raw)  # type: ignore[arg-type]


def only(raw: bytes, **options: object) -> frames.Frame:
    """The one good frame in `raw`."""
    (item,) = read(raw, **options)
    assert isinstance(item, frames.Frame)
    return item


# Building


def test_the_frames_of_the_rfc_are_built_byte_for_byte() -> None:
    # RFC 6455 §5.7
    assert frames.build(TEXT, b"Hello").hex() == "810548656c6c6f"
    assert frames.build(TEXT, b"Hello", mask=MASK).hex() == "818537fa213d7f9f4d5158"
    assert frames.build(TEXT, b"Hel", fin=False).hex() == "010348656c"
    assert frames.build(CONTINUATION, b"lo").hex() == "80026c6f"
    assert frames.build(PING, b"Hello").hex() == "890548656c6c6f"
    assert frames.build(BINARY, bytes(256))[:4].hex() == "827e0100"
    assert frames.build(BINARY, bytes(65536))[:10].hex() == "827f0000000000010000"


@pytest.mark.parametrize(
    ("length", "header"),
    [(125, "827d"), (126, "827e007e"), (65535, "827effff"), (65536, "827f0000000000010000")],
)
def test_a_length_takes_the_shortest_form(length: int, header: str) -> None:
    assert frames.build(BINARY, bytes(length)).startswith(bytes.fromhex(header))


def test_a_library_server_reads_what_is_built() -> None:
    server = ServerProtocol(state=OPEN)

    server.receive_data(frames.build(TEXT, "né😀".encode(), mask=MASK))

    assert server.events_received() == [LibraryFrame(Opcode.TEXT, "né😀".encode())]


def test_wrong_frames_can_be_built_on_purpose() -> None:
    assert frames.build(3, rsv=7, fin=False).hex() == "7300"
    assert frames.build(TEXT, b"abc", length=5).hex() == "8105616263"
    assert frames.build(TEXT, length=1 << 63).hex() == "817f8000000000000000"


@pytest.mark.parametrize(
    "wrong", [{"opcode": 16}, {"rsv": 8}, {"mask": b"abc"}, {"length": 1 << 64}]
)
def test_what_has_no_place_in_a_frame_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        frames.build(**({"opcode": TEXT} | wrong))  # type: ignore[arg-type]


def test_a_payload_is_masked_byte_by_byte_with_the_four_in_turn() -> None:
    for length in range(9):
        raw = frames.build(TEXT, bytes(range(length)), mask=MASK)

        assert raw[2:6] == MASK
        assert raw[6:] == bytes(byte ^ MASK[byte % 4] for byte in range(length))


# The handshake


def test_a_library_server_accepts_the_handshake_that_is_built() -> None:
    server = ServerProtocol()

    server.receive_data(frames.handshake_request("ws://127.0.0.1:8080/ws?room=1", key=KEY))

    (request,) = server.events_received()
    response = server.accept(request)  # type: ignore[arg-type]
    assert response.status_code == 101
    assert response.headers["Sec-WebSocket-Accept"] == frames.accept_for(KEY)
    assert request.path == "/ws?room=1"  # type: ignore[union-attr]


def test_the_accept_of_the_rfc_comes_out() -> None:
    assert frames.accept_for(KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 §1.3


def test_a_header_of_the_handshake_can_be_added_replaced_and_left_out() -> None:
    headers = {"Origin": "http://a", "sec-websocket-version": "12", "Upgrade": None}

    raw = frames.handshake_request("ws://[::1]/", key="k", headers=headers, method="POST")

    assert raw.decode().split("\r\n") == [
        "POST / HTTP/1.1",
        "Host: [::1]",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: k",
        "Sec-WebSocket-Version: 12",
        "Origin: http://a",
        "",
        "",
    ]


@pytest.mark.parametrize(
    "url", ["ftp://a/", "ws://", "127.0.0.1:80", "ws://a:x/", "ws://a/ b\r\n", "ws://a..b/"]
)
def test_what_is_no_websocket_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|encoded"):
        frames.address(url)


# Reading

EVERY_KIND = [
    frames.build(TEXT, b'{"type":"welcome"}'),
    frames.build(TEXT, "né😀".encode(), mask=MASK),
    frames.build(TEXT, b"be", fin=False),
    frames.build(PING, b"abcd", mask=MASK),
    frames.build(CONTINUATION, b"gun"),
    frames.build(BINARY, bytes(range(200))),
    frames.build(BINARY, bytes(70_000), mask=MASK),
    frames.build(PONG),
    frames.build(CLOSE, frames.close_payload(1000, "bye")),
]


def test_frames_are_read_back_as_they_were_built() -> None:
    items = read(b"".join(EVERY_KIND))

    assert [type(item) for item in items] == [frames.Frame] * len(EVERY_KIND)
    assert [item.size for item in items if isinstance(item, frames.Frame)] == [
        *map(len, EVERY_KIND)
    ]
    text, masked, first, ping, rest, *_, close = items
    assert isinstance(text, frames.Frame) and text.payload == b'{"type":"welcome"}'
    assert (text.opcode, text.fin, text.rsv, text.masked, text.length) == (TEXT, True, 0, False, 18)
    assert text.header == bytes.fromhex("8112")
    assert isinstance(masked, frames.Frame) and masked.payload == "né😀".encode() and masked.masked
    assert masked.header.endswith(MASK)
    assert isinstance(first, frames.Frame) and not first.fin
    assert isinstance(ping, frames.Frame) and ping.control and ping.payload == b"abcd"
    assert isinstance(rest, frames.Frame) and rest.opcode == CONTINUATION
    assert isinstance(close, frames.Frame) and close.close_code == 1000


def test_it_makes_no_difference_how_the_bytes_are_cut_up() -> None:
    raw = b"".join(EVERY_KIND)
    reader = FrameReader()

    one_by_one = [item for byte in raw for item in reader.feed(bytes([byte]))]

    assert one_by_one == read(raw)
    assert reader.eof() == []


def test_each_item_tells_where_it_ended_in_the_bytes() -> None:
    ends = [end for _, end in FrameReader().split(b"".join(EVERY_KIND))]

    assert ends == list(itertools.accumulate(map(len, EVERY_KIND)))


def test_a_frame_with_the_wrong_mask_bit_is_read_and_reported() -> None:
    from_client = read(frames.build(TEXT, b"a") + frames.build(TEXT, b"b", mask=MASK), masked=True)
    from_server = only(frames.build(TEXT, b"a", mask=MASK), masked=False)

    assert [item.mask_wrong for item in from_client if isinstance(item, frames.Frame)] == [
        True,
        False,
    ]
    assert from_server.mask_wrong
    assert from_server.payload == b"a"


WRONG = {
    "reserved opcode": frames.build(3, b"abc", mask=MASK),
    "reserved bits must be 0": frames.build(TEXT, b"abc", rsv=frames.RSV1),
    "a control frame has at most 125 bytes": frames.build(PING, bytes(126)),
    "a control frame cannot be fragmented": frames.build(PING, b"a", fin=False),
}


@pytest.mark.parametrize("reason", WRONG)
def test_a_frame_that_no_peer_may_send_ends_the_reading(reason: str) -> None:
    reader = FrameReader()

    items = reader.feed(frames.build(TEXT, b"good") + WRONG[reason] + frames.build(TEXT, b"late"))
    later = reader.feed(b"more")

    good, bad, rest = items
    assert isinstance(good, frames.Frame)
    assert bad == frames.BadFrame(reason, WRONG[reason], len(WRONG[reason]))
    assert rest == frames.Opaque(frames.build(TEXT, b"late"), "after a bad frame")
    assert later == [frames.Opaque(b"more", "after a bad frame")]


@pytest.mark.parametrize("reason", WRONG)
def test_a_lenient_reader_names_the_problem_and_goes_on(reason: str) -> None:
    bad, good = read(WRONG[reason] + frames.build(TEXT, b"good"), lenient=True)

    assert isinstance(bad, frames.Frame) and bad.problem == reason
    assert isinstance(good, frames.Frame) and good.payload == b"good" and not good.problem


def test_a_stream_that_ends_inside_a_frame_says_so() -> None:
    reader = FrameReader()
    raw = frames.build(TEXT, b"only the begin", length=100)

    assert reader.feed(raw) == []
    assert reader.eof() == [frames.BadFrame("the stream ends inside it", raw, len(raw))]


def test_a_length_that_lies_takes_no_memory_for_what_never_comes() -> None:
    reader = FrameReader(limit=1000, keep=10)
    reader.feed(frames.build(BINARY, length=1 << 62))

    for _ in range(100):
        reader.feed(bytes(10_000))

    assert len(reader._stream.buffer) + len(reader._raw) < 2000
    (bad,) = reader.eof()
    assert isinstance(bad, frames.BadFrame)
    assert bad.size == 10 + 1_000_000


@pytest.mark.parametrize("mask", [None, MASK])
def test_of_a_frame_over_the_limit_the_beginning_is_kept(mask: bytes | None) -> None:
    raw = frames.build(TEXT, b"abcdefgh" * 1000, mask=mask)
    reader = FrameReader(limit=100, keep=10)

    items = [item for byte in raw for item in reader.feed(bytes([byte]))]

    (frame,) = items
    assert isinstance(frame, frames.Frame)
    assert (frame.payload, frame.length, frame.size) == (b"abcdefghab", 8000, len(raw))
    assert reader.feed(EVERY_KIND[0])[0].size == len(EVERY_KIND[0])  # type: ignore[union-attr]


# Compression


def deflated(*parts: bytes, context: bool = True) -> tuple[list[bytes], PerMessageDeflate]:
    """Messages as compressed unmasked frames, and what inflates them."""
    sender = PerMessageDeflate(True, not context, 15, 15)
    raw = [LibraryFrame(Opcode.TEXT, p).serialize(mask=False, extensions=[sender]) for p in parts]
    return raw, PerMessageDeflate(not context, True, 15, 15)


@pytest.mark.parametrize("context", [True, False])
def test_compressed_messages_are_inflated(context: bool) -> None:
    raw, inflate = deflated(b"hello " * 100, b"hello " * 100, context=context)

    items = read(b"".join(raw), inflate=inflate)

    for item, sent in zip(items, raw, strict=True):
        assert isinstance(item, frames.Frame) and item.compressed
        assert item.data == b"hello " * 100
        assert (item.rsv, item.inflated_length) == (frames.RSV1, 600)
        assert item.length == len(sent) - 2


def test_a_compressed_message_in_fragments_is_inflated_piece_by_piece() -> None:
    sender = PerMessageDeflate(True, True, 15, 15)
    first = LibraryFrame(Opcode.TEXT, b"Hello ", fin=False)
    second = LibraryFrame(Opcode.CONT, b"world")
    raw = b"".join(f.serialize(mask=False, extensions=[sender]) for f in (first, second))

    items = read(raw, inflate=PerMessageDeflate(True, True, 15, 15))

    data = [item.data for item in items if isinstance(item, frames.Frame)]
    assert data[0].startswith(b"Hello")
    assert b"".join(data) == b"Hello world"


def test_what_cannot_be_inflated_is_a_frame_all_the_same() -> None:
    broken = frames.build(TEXT, b"\xff" * 20, rsv=frames.RSV1)
    reader = FrameReader(inflate=PerMessageDeflate(False, True, 15, 15))

    first, second = reader.feed(broken + broken)

    for frame in (first, second):
        assert isinstance(frame, frames.Frame)
        assert frame.compressed
        assert frame.inflated is None


def test_a_bomb_is_not_inflated_beyond_the_limit() -> None:
    (raw,), inflate = deflated(bytes(10_000_000))

    frame = only(raw, inflate=inflate, limit=100_000)

    assert frame.compressed
    assert frame.inflated is None


def test_behind_a_compressed_frame_over_the_limit_nothing_is_guessed() -> None:
    noise = random.Random(1).randbytes(1000)
    raw, inflate = deflated(noise, b"independent")

    items = read(b"".join(raw), inflate=inflate, limit=100)

    for item, length in zip(items, map(len, raw), strict=True):
        assert isinstance(item, frames.Frame)
        assert item.compressed
        assert item.inflated is None
        assert item.size == length


# HTTP before frames


def test_http_is_read_up_to_the_upgrade_and_frames_from_there() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    sized = b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\n123"
    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
    raw = chunked + sized + switch + frames.build(TEXT, b"hi")
    reader = TalkReader(masked=False)

    items = [item for byte in raw for item in reader.feed(bytes([byte]))]

    *heads, frame = items
    assert [head.status for head in heads if isinstance(head, frames.Head)] == [200, 404, 101]
    assert isinstance(frame, frames.Frame) and frame.payload == b"hi"
    assert items == TalkReader(masked=False).feed(raw)


def test_a_request_with_a_body_is_followed_by_the_next_request() -> None:
    post = b"POST /api/login HTTP/1.1\r\nContent-Length: 4\r\n\r\nGET "
    upgrade = frames.handshake_request("ws://a/ws", key=KEY)
    reader = TalkReader(masked=True)

    first, second, frame = reader.feed(post + upgrade + frames.build(TEXT, b"hi", mask=MASK))

    assert isinstance(first, frames.Head) and first.line == "POST /api/login HTTP/1.1"
    assert isinstance(second, frames.Head) and second.upgrades
    assert second.get("sec-websocket-key") == KEY
    assert isinstance(frame, frames.Frame) and frame.payload == b"hi"


def test_a_client_that_was_refused_the_upgrade_speaks_http_again() -> None:
    reader = TalkReader(masked=True)
    reader.feed(frames.handshake_request("ws://a/ws", key=KEY))

    reader.refused()

    (head,) = reader.feed(b"GET / HTTP/1.1\r\n\r\n")
    assert isinstance(head, frames.Head)


@pytest.mark.parametrize(
    "raw", [b"\x16\x03\x01\n", b"SSH-2.0-x\r\n", b"GET / HTTP/1.1\r\nno\r\n\r\n"]
)
def test_what_is_not_http_is_passed_over_as_it_is(raw: bytes) -> None:
    reader = TalkReader(masked=True)

    items = reader.feed(raw) + reader.feed(b"more") + reader.eof()

    assert all(isinstance(item, frames.Opaque) for item in items)
    assert b"".join(item.data for item in items if isinstance(item, frames.Opaque)) == raw + b"more"


def test_a_head_without_end_takes_bounded_memory() -> None:
    reader = TalkReader(masked=True)

    for _ in range(1000):
        reader.feed(b"x" * 1000)

    assert len(reader._stream.buffer) + len(reader._raw) < 20_000


def test_the_compression_of_the_handshake_is_taken_over() -> None:
    raw, _ = deflated(b"hello " * 100)
    extensions = b"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12\r\n"
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n" + extensions + b"\r\n"

    _, frame = TalkReader(masked=False).feed(head + raw[0])

    assert isinstance(frame, frames.Frame) and frame.data == b"hello " * 100


# Words


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (frames.build(TEXT, b'{"type":"a"}'), 'text 12 bytes FIN {"type":"a"}'),
        (frames.build(TEXT, b"x", mask=MASK), "text 1 byte FIN masked x"),
        (frames.build(TEXT, b"hel", fin=False), "text 3 bytes no FIN hel"),
        (frames.build(CONTINUATION, b"lo"), "continuation 2 bytes FIN lo"),
        (frames.build(BINARY, b"\x00\xff"), "binary 2 bytes FIN 00 ff"),
        (frames.build(TEXT), "text 0 bytes FIN"),
        (frames.build(PING, b"abcd"), 'ping 4 bytes "abcd"'),
        (frames.build(PONG, b"\x01\x02"), "pong 2 bytes 01 02"),
        (
            frames.build(CLOSE, frames.close_payload(1009, "over 64 KiB")),
            "close 1009 (message too big) over 64 KiB",
        ),
        (frames.build(CLOSE), "close 0 bytes (no code given)"),
        (frames.build(CLOSE, b"\x03"), "close 1 byte 03"),
        (frames.build(CLOSE, frames.close_payload(4999)), "close 4999 (private code)"),
        (frames.build(11, b"x"), "opcode 0xb 1 byte (reserved opcode) 78"),
        (frames.build(TEXT, b"x", rsv=5), "text 1 byte FIN RSV1 RSV3 (reserved bits must be 0) x"),
    ],
)
def test_a_frame_is_told_in_one_line(raw: bytes, words: str) -> None:
    assert frames.describe(only(raw, lenient=True)) == words


def test_a_long_payload_is_shortened_and_its_true_size_told() -> None:
    text = frames.describe(only(frames.build(TEXT, ("é" * 50_000).encode())), shown=5)
    binary = frames.describe(only(frames.build(BINARY, bytes(70_000))), shown=9)

    assert text == "text 100000 bytes FIN ééééé…"
    assert binary == "binary 70000 bytes FIN 00 00 00…"


def test_a_character_cut_by_the_limit_is_not_taken_for_a_wrong_one() -> None:
    whole = frames.build(TEXT, "ab😀😀".encode())

    assert frames.describe(only(whole, keep=4)) == "text 10 bytes FIN ab…"


def test_a_payload_cannot_steer_the_terminal() -> None:
    evil = "\x1b[31m\x1b]0;owned\x07\r\n\u202egnp.exe\x9b1m\u2028"
    items = [
        frames.build(TEXT, evil.encode()),
        frames.build(TEXT, b"\xff\x1b"),
        frames.build(CLOSE, frames.close_payload(1000, evil)),
        frames.build(PING, evil.encode()),
        frames.build(CONTINUATION, evil.encode()),
    ]

    lines = [frames.describe(only(raw)) for raw in items]
    lines += frames.head_lines(frames.Head(f"GET {evil}", (("X", evil),)))
    lines.append(frames.describe(frames.BadFrame("because", evil.encode(), 9)))

    assert all(line.isprintable() for line in lines)
    assert r"\x1b[31m" in lines[0]


def test_a_compressed_frame_is_told_with_both_sizes_and_its_text() -> None:
    (raw,), inflate = deflated(b"hello " * 100)

    line = frames.describe(only(raw, inflate=inflate), shown=6)

    assert line == f"text {len(raw) - 2} bytes FIN RSV1 deflate of 600 bytes hello …"


def test_every_close_code_has_a_meaning() -> None:
    assert frames.close_meaning(1006) == "lost, no close frame"
    assert frames.close_meaning(4410) == "credentials expired"
    assert frames.close_meaning(4777) == "private code"
    assert frames.close_meaning(3000) == "registered code"
    assert frames.close_meaning(999) == "not a valid code"


@pytest.mark.parametrize(
    ("shown", "hidden"),
    [
        ("GET /ws?ticket=abc&room=1 HTTP/1.1", "GET /ws?ticket=…&room=1 HTTP/1.1"),
        ("GET /ws?room=1&access_token=a.b-c HTTP/1.1", "GET /ws?room=1&access_token=… HTTP/1.1"),
        (
            "Sec-WebSocket-Protocol: course.v1, ticket.abc",
            "Sec-WebSocket-Protocol: course.v1, ticket.…",
        ),
        ('{"accessToken":"abc","x":"y"}', '{"accessToken":"…","x":"y"}'),
        ('{"password": "a\\"bc', '{"password": "…'),
        ("GET /ws?room=1 HTTP/1.1", "GET /ws?room=1 HTTP/1.1"),
        ('{"type":"ticket"}', '{"type":"ticket"}'),
    ],
)
def test_secrets_are_hidden(shown: str, hidden: str) -> None:
    assert frames.hide(shown) == hidden


def test_the_headers_that_carry_secrets_are_hidden() -> None:
    head = frames.Head("GET / HTTP/1.1", (("authorization", "Bearer x"), ("Cookie", "a=b")))

    assert frames.head_lines(head) == ["GET / HTTP/1.1", "authorization: …", "Cookie: …"]
