"""The envelope: one shape for every message, in both directions.

A message is a JSON object in a text frame:
{"type": str, "data"?: any, "ts"?: milliseconds since 1970, "requestId"?: str}.
What is not a message becomes a `BadMessage`, and that becomes exactly one error reply.
"""

import json
import math
import time
from dataclasses import dataclass
from typing import Any, NoReturn

MAX_REQUEST_ID = 128  # characters
MAX_DEPTH = 100  # objects and arrays inside one another


class BadMessage(Exception):
    """What came in is no envelope. `request_id` is kept where it could still be read."""

    def __init__(self, reason: str, request_id: str | None = None) -> None:
        super().__init__(reason)
        self.request_id = request_id


@dataclass(frozen=True, slots=True)
class Message:
    type: str
    data: Any = None
    request_id: str | None = None


def refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")  # Python would read NaN and Infinity; nobody else does


def finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):  # 1e999 would come out as Infinity, which is no JSON either
        raise ValueError(f"{text} is too large")
    return value


def check_writable(value: Any, depth: int = MAX_DEPTH) -> None:
    """What we read, we may have to write: no deep nesting, and no half characters. ValueError."""
    if depth == 0:
        raise ValueError(f"nested more than {MAX_DEPTH} deep")
    if isinstance(value, str):
        value.encode()  # JSON can say \\ud800, half of a character, and UTF-8 cannot
    elif isinstance(value, dict | list):
        for part in [*value, *value.values()] if isinstance(value, dict) else value:
            check_writable(part, depth - 1)


def read_object(text: str) -> dict[str, Any]:
    """Read a JSON object that can be written again. Raises BadMessage."""
    try:
        fields = json.loads(text, parse_constant=refuse_constant, parse_float=finite)
        check_writable(fields)
    except (ValueError, RecursionError) as error:  # RecursionError: thousands of nested brackets
        raise BadMessage(f"not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise BadMessage("a message is a JSON object")
    return fields


def decode(text: str) -> Message:
    """Read one envelope. Fields that are not known are ignored. Raises BadMessage."""
    fields = read_object(text)
    request_id = fields.get("requestId")
    if request_id is not None and not isinstance(request_id, str):
        raise BadMessage("requestId is a string")
    if request_id is not None and len(request_id) > MAX_REQUEST_ID:
        raise BadMessage(f"requestId has at most {MAX_REQUEST_ID} characters")
    if not isinstance(fields.get("type"), str):
        raise BadMessage("a message has a type, which is a string", request_id)
    return Message(fields["type"], fields.get("data"), request_id)


def encode(type: str, request_id: str | None = None, **fields: Any) -> str:
    """Write one envelope, with the time of now."""
    message = {"type": type, "ts": int(time.time() * 1000), **fields}
    if request_id is not None:
        message["requestId"] = request_id
    return json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def encode_error(code: str, reason: str, request_id: str | None = None) -> str:
    return encode("error", request_id, data={"code": code, "message": reason})
