"""The board: what an order and a reservation are, and what may become of them.

Each action is a small function from what is there to what will be there. It knows no sockets, no
bus and no users; what does not fit is Refused. Who may do it stands in the table below.
"""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from commands import MAX_NAME, Refused

ORDERS, RESERVATIONS, TELEMETRY = "board:orders", "board:reservations", "board:telemetry"
STEPS = ("new", "preparing", "ready", "served")  # an order's way, unless it is cancelled
ID = re.compile(r"[a-z0-9-]+")
MOST_ITEMS, MOST_CENTS = 50, 10**9

Thing = dict[str, Any]


def advance(order: Thing) -> Thing:
    if order["status"] not in STEPS[:-1]:
        raise Refused("bad_request", f"an order that is {order['status']} goes no further")
    return order | {"status": STEPS[STEPS.index(order["status"]) + 1]}


def cancel(thing: Thing) -> Thing:
    if thing["status"] in ("served", "seated", "cancelled"):
        raise Refused("bad_request", f"it is {thing['status']}: too late to cancel")
    return thing | {"status": "cancelled"}


def confirm(reservation: Thing) -> Thing:
    if reservation["status"] != "requested":
        raise Refused("bad_request", f"a reservation that is {reservation['status']} is settled")
    return reservation | {"status": "confirmed"}


def seat(reservation: Thing) -> Thing:
    if reservation["status"] != "confirmed":
        raise Refused("bad_request", "only who has a confirmed reservation is seated")
    return reservation | {"status": "seated"}


def new_order(data: Any) -> Thing:
    """An order as a client asks for it: nothing is taken over that was not looked at."""
    fields = data if isinstance(data, dict) else {}
    customer, items, total, table = (
        fields.get(name) for name in ("customer", "items", "total", "table")
    )
    if not is_text(customer):
        raise Refused("bad_request", f"customer has to be a text of 1 to {MAX_NAME} characters")
    if not isinstance(items, list) or not 1 <= len(items) <= MOST_ITEMS:
        raise Refused("bad_request", f"items has to be a list of 1 to {MOST_ITEMS}")
    if type(total) is not int or not 0 <= total <= MOST_CENTS:
        raise Refused("bad_request", "total has to be a whole number of cents")
    if table is not None and not is_text(table) and type(table) is not int:
        raise Refused("bad_request", "table has to be a text or a number")
    order = {"id": f"order-{secrets.token_hex(4)}", "customer": customer, "total": total}
    order |= {"items": [read_item(item) for item in items], "status": "new"}
    return order if table is None else order | {"table": str(table)}


def read_item(item: Any) -> Thing:
    """A name, or a name with a count."""
    fields = item if isinstance(item, dict) else {"name": item}
    name, count = fields.get("name"), fields.get("count", 1)
    if not is_text(name) or type(count) is not int or not 1 <= count <= 1000:
        raise Refused("bad_request", "an item has a name, and a count of 1 or more")
    return {"name": name, "count": count}


def is_text(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= MAX_NAME


@dataclass(frozen=True, slots=True)
class Action:
    """What can be asked for: what changes, what the channel hears, what the reply is called."""

    channel: str
    event: str
    reply: str
    change: Callable[[Thing], Thing] | None  # None: it makes something new
    role: str = ""  # who may; "" is everybody who is logged in


ACTIONS = {
    "order:create": Action(ORDERS, "order:created", "order:created", None),
    "order:advance": Action(ORDERS, "order:update", "order:advanced", advance),
    "order:cancel": Action(ORDERS, "order:update", "order:cancelled", cancel, "admin"),
    "reservation:confirm": Action(
        RESERVATIONS, "reservation:update", "reservation:confirmed", confirm
    ),
    "reservation:cancel": Action(
        RESERVATIONS, "reservation:update", "reservation:cancelled", cancel, "admin"
    ),
}
