"""A doctor to begin with. It has never examined anybody, and finds everybody well.

Run: URL=ws://127.0.0.1:8080/ws python doctor.py
It has to print one JSON object a line, and a verdict last; exit code 0 ok or a warning, 1 a
problem, 2 nobody there. ORIGIN, EXPECT and SEND_BYTES say what the client will do.
"""

import json
import os

URL = os.environ.get("URL", "") or "ws://127.0.0.1:8080/ws"


def report(event: str, **fields: object) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


if __name__ == "__main__":
    report("verdict", verdict="ok", cause=None)
