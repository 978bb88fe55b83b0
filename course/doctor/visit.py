"""One visit: which probes, in which order, and when there is no sense in going on."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from course.doctor.net import Line, now, resolve
from course.doctor.report import PROBES, Finding, Report
from course.frames import Address, address
from course.wire import why

LOCAL = ("127.0.0.1", "::1", "localhost")
SOON_DAYS = 14  # a certificate that ends sooner is worth a warning
PING = '{"type":"ping","requestId":"doctor"}'  # of the course's envelope; others may ignore it


@dataclass(frozen=True)
class Options:
    """What the doctor was asked to look at. Times in seconds.

    origin        the page that will connect, as in the Origin header; "" for none in particular
    subprotocols  what the page asks for
    headers       added to every request
    ca            a file of certificates to trust beside the system's
    heartbeat     how long to listen for one; 0 does not listen
    patience      for each step, such as an answer to a request
    slow          an answer that takes longer says that something blocks
    say           a message to send, whose answer is looked at; "" says nothing
    size          send a message of so many bytes; 0 does not
    expect        the `type` of a message that has to come; "" for none
    channel       subscribe to it on several connections, and see whether all hear what one says
    """

    origin: str = ""
    subprotocols: tuple[str, ...] = ()
    headers: dict[str, str | None] = field(default_factory=dict)
    ca: str = ""
    heartbeat: float = 35.0
    patience: float = 5.0
    slow: float = 1.0
    say: str = PING
    size: int = 0
    expect: str = ""
    channel: str = ""


class Visit:
    """What all probes of one visit share."""

    def __init__(self, url: str, options: Options, report: Report) -> None:
        self.url = url
        self.place: Address = address(url)
        self.options = options
        self.report = report
        self.connect_seconds = 0.0
        self.trust: ssl.SSLContext | None = None
        self.progress: Callable[[float, float], None] = lambda passed, whole: None
        if self.place.secure:
            self.trust = ssl.create_default_context()
            if options.ca:
                self.trust.load_verify_locations(cafile=options.ca)

    @property
    def engine(self) -> bool:
        """Whether the URL is one of Engine.IO, which carries Socket.IO."""
        path, _, query = self.place.path.partition("?")
        named = {"socket.io", "engine.io"} & set(path.split("/"))
        return bool(named) or "EIO" in dict(parse_qsl(query))

    @property
    def ws_url(self) -> str:
        """The URL with a WebSocket scheme."""
        scheme, _, rest = self.url.partition("://")
        return f"{'wss' if scheme in ('wss', 'https') else 'ws'}://{rest}"

    async def line(self) -> Line:
        return await Line.open(self.place, self.trust, self.options.patience)


async def examine(
    url: str,
    options: Options | None = None,
    tell: Callable[[Finding], None] = lambda finding: None,
    progress: Callable[[float, float], None] = lambda passed, whole: None,
) -> Report:
    """Look at one endpoint. Raises ValueError for a URL that is none, OSError for a bad `ca`."""
    from course.doctor import engine, native

    report = Report(url, tell)
    visit = Visit(url, options or Options(), report)
    visit.progress = progress
    if await _reach(visit):
        _mixed(visit)
        await (engine.examine(visit) if visit.engine else native.examine(visit))
    asked = {finding.probe for finding in report.findings} | {"mixed", "open", "size", "messages"}
    optional = {"instances"} | (set() if visit.engine else {"engine", "stickiness", "cors"})
    report.skip(*(name for name in PROBES if name not in asked | optional))
    return report


async def _reach(visit: Visit) -> bool:
    """DNS, TCP, TLS; whether there is a connection to ask anything on."""
    report, place, patience = visit.report, visit.place, visit.options.patience
    try:
        found = await resolve(place, patience)
    except OSError as error:  # TimeoutError is one
        report.unreachable = True
        report.add(
            "dns.unknown", host=place.host, why=why(error) if not error.errno else str(error)
        )
        return False
    report.add("dns.ok", host=place.host, addresses=", ".join(found[:4]))
    plain = Address(place.host, place.port, False, place.path)
    began = now()
    try:
        async with await Line.open(plain, None, patience) as line:
            peer = line.writer.get_extra_info("peername")
    except OSError as error:
        report.unreachable = True
        report.add("tcp.refused", where=f"{place.host}:{place.port}", why=why(error))
        return False
    visit.connect_seconds = now() - began
    where = f"{peer[0]}:{peer[1]}" if peer else place.authority
    report.add("tcp.ok", where=where, ms=visit.connect_seconds * 1000)
    if not place.secure:
        local = place.host in LOCAL or place.host.endswith(".localhost")
        report.add("tls.plain_local" if local else "tls.plain")
        return True
    return await _tls(visit)


async def _tls(visit: Visit) -> bool:
    """Whether TLS comes about, with a certificate that a browser would take."""
    report = visit.report
    try:
        line = await visit.line()
    except ssl.SSLCertVerificationError as error:
        report.add("tls.certificate", host=visit.place.host, why=error.verify_message)
        return False
    except TimeoutError:
        report.add("tls.failed", why="no answer")
        return False
    except OSError as error:
        text = getattr(error, "reason", None) or why(error)
        report.add("tls.failed", why=str(text).replace("_", " ").lower())
        return False
    async with line:
        tls = line.writer.get_extra_info("ssl_object")
        certificate: dict[str, Any] = tls.getpeercert() or {}
        version = str(tls.version())
    ends = ssl.cert_time_to_seconds(certificate["notAfter"]) if certificate else time.time()
    days = (ends - time.time()) / 86400
    report.add("tls.soon" if days < SOON_DAYS else "tls.ok", version=version, days=int(days))
    return True


def _mixed(visit: Visit) -> None:
    """A page that came by https may not open a plain connection: nothing is sent to know that."""
    page = visit.options.origin
    if urlsplit(page).scheme == "https":
        code = "mixed.ok" if visit.place.secure else "mixed.blocked"
        visit.report.add(code, page=page, url=visit.ws_url)
