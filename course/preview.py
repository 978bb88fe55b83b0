"""Live reload for two sites in one: build aside, switch when done, tell the open pages.

Who reads a page never sees a half-built site: each build goes into a folder of its own, and one
that fails leaves the last good one standing, with the error shown at the foot of the page.
"""

from __future__ import annotations

import itertools
import json
import shutil
import sys
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

QUIET_SECONDS = (
    0.3  # an editor writes a file in several steps: build when it has been still so long
)
IGNORED = {"vendor", "__pycache__"}  # folders the build itself writes
CHANGES = {"created", "modified", "moved", "deleted"}

SCRIPT = """<script>
(() => {
  let seen = null;
  const bar = document.createElement("pre");
  bar.setAttribute("role", "alert");
  bar.style.cssText = "position:fixed;inset:auto 0 0 0;margin:0;padding:1em;z-index:99;" +
    "max-height:40vh;overflow:auto;white-space:pre-wrap;background:#7f1d1d;color:#fff;" +
    "font:13px monospace";
  setInterval(async () => {
    const state = await fetch("/.live").then(answer => answer.json()).catch(() => null);
    if (!state) return;
    if (seen !== null && state.version !== seen) location.reload();
    seen = state.version;
    bar.textContent = state.failure;
    state.failure ? document.body.append(bar) : bar.remove();
  }, 1000);
})();
</script>
"""


class Preview:
    """A small web server over the newest good build."""

    def __init__(self, host: str, port: int, folder: Path) -> None:
        """Take the port. Raises OSError."""
        self.folder = folder
        self.current: Path | None = None
        self.version = 0
        self.failure = ""
        self.changed = threading.Event()
        preview = self

        class Handler(PageHandler):
            def __init__(self, *arguments: object) -> None:
                self.preview = preview
                super().__init__(*arguments, directory=str(preview.current or folder))  # type: ignore[arg-type]

        self.server = Server((host, port), Handler)
        self.url = f"http://{host}:{self.server.server_port}/"

    def __enter__(self) -> Preview:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.server.shutdown()
        self.server.server_close()

    def run(
        self,
        build: Callable[[Path], None],
        failure: type[Exception],
        *,
        folders: Iterable[Path],
        files: Iterable[Path],
    ) -> None:
        """Build, then again after each change under `folders` or of `files`, for ever."""
        observer = Observer()
        watcher = Watcher(self.changed, set(files))
        for path in folders:
            observer.schedule(watcher, str(path), recursive=True)
        for path in {path.parent for path in files}:
            observer.schedule(watcher, str(path))
        observer.start()
        try:
            for number in itertools.count():
                self.build(build, failure, self.folder / str(number % 2))
                self.changed.wait()
                while self.changed.is_set():
                    self.changed.clear()
                    self.changed.wait(QUIET_SECONDS)
        finally:
            observer.stop()
            observer.join()

    def build(self, build: Callable[[Path], None], failure: type[Exception], target: Path) -> None:
        """Build into `target` and show it; on a failure keep showing what there was."""
        shutil.rmtree(target, ignore_errors=True)
        try:
            build(target)
        except failure as error:
            self.failure = str(error)
            print(error, flush=True)
            return
        self.current, self.failure = target, ""
        self.version += 1
        print(f"built: {self.url}", flush=True)


class Server(ThreadingHTTPServer):
    """One thread a request; a browser that leaves in the middle of one is nothing to report."""

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class Watcher(FileSystemEventHandler):
    """Sets an event when a source was written. What is only read or opened does not count."""

    def __init__(self, changed: threading.Event, files: set[Path]) -> None:
        self.changed = changed
        self.files = files
        self.parents = {str(path.parent) for path in files}

    def on_any_event(self, event: FileSystemEvent) -> None:
        path = Path(str(event.src_path))
        single = str(path.parent) in self.parents
        if event.is_directory or event.event_type not in CHANGES or IGNORED & set(path.parts):
            return
        if not single or path in self.files or Path(str(event.dest_path)) in self.files:
            self.changed.set()


class PageHandler(SimpleHTTPRequestHandler):
    """Serves the current build; a page gets the reload script, `/.live` says which build it is."""

    preview: Preview

    def do_GET(self) -> None:
        if self.path == "/.live":
            state = {"version": self.preview.version, "failure": self.preview.failure}
            return self.reply(HTTPStatus.OK, "application/json", json.dumps(state))
        path = Path(self.translate_path(self.path))
        if path.is_dir() and self.path.partition("?")[0].endswith("/"):
            path /= "index.html"
        status = HTTPStatus.OK
        if not path.exists():
            language = "zh/" if self.path.startswith("/zh/") else ""
            path, status = Path(self.translate_path(f"/{language}404.html")), HTTPStatus.NOT_FOUND
        if path.suffix == ".html":
            text = path.read_text(encoding="utf-8") if path.exists() else "<body>building …</body>"
            page = text.replace("</body>", SCRIPT + "</body>")
            return self.reply(status, "text/html; charset=utf-8", page)
        return super().do_GET()

    def reply(self, status: HTTPStatus, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, *arguments: object) -> None:
        """Say nothing of each request: the terminal is for the builds."""
