/**
 * A link over Socket.IO. Its own coming back is switched off: one owner for both libraries.
 *
 * A request is an event with an ack, and the ack becomes the reply that a native server would send.
 */
import { io, type Socket } from "socket.io-client";

import { FORBIDDEN, LOST, POLICY, UNAUTHORIZED } from "./closeCodes";
import { asMessage, isObject, type Message, type Request } from "./envelope";
import type { Dial, End } from "./link";

/** What a server's refusal in `connect_error` means, as a close code. */
const REFUSALS: Readonly<Record<string, number>> = {
  unauthorized: UNAUTHORIZED,
  forbidden: FORBIDDEN,
};
const REPLIES: Readonly<Record<string, string>> = {
  subscribe: "subscribed",
  unsubscribe: "unsubscribed",
  publish: "published",
};

export const dialSocketIo: Dial = ({ url, auth }, events) => {
  // "websocket" alone: long-polling would want a load balancer that sends us to the same server.
  const socket: Socket = io(url, {
    transports: ["websocket"],
    forceNew: true,
    reconnection: false,
    ...(auth && { auth }),
  });
  const manager = socket.io;
  let told: End | null = null; // why we will be disconnected: `41` itself has no room for it
  const heard = () => {
    events.heard();
  };
  manager.engine.on("packet", heard); // the server's pings too, which no event of ours tells
  socket.on("connect", () => {
    events.opened();
  });
  socket.onAny((name: string, said: unknown) => {
    if (name === "session:ended") told = farewell(said);
    const message = asMessage({ ...(isObject(said) ? said : { data: said }), type: name });
    if (message) events.message(message);
  });
  socket.on("connect_error", (error: Error & { data?: unknown }) => {
    events.ended(refusal(error));
  });
  socket.on("disconnect", (reason, details) => {
    events.ended(told ?? ending(reason, details));
  });

  return {
    send: (request) => {
      socket.emit(request.type, named(request), (ack: unknown) => {
        events.message(reply(request, ack));
      });
    },
    ping: () => {
      socket.emit("app:ping", null, heard);
    },
    close: () => {
      socket.offAny();
      socket.removeAllListeners();
      manager.engine.off("packet", heard);
      socket.disconnect();
    },
    get bufferedAmount() {
      return manager.engine.writeBuffer.length; // packets: Socket.IO does not count bytes
    },
  };
};

/** An event has no envelope, so the name of the request goes with its data. */
function named({ data, requestId }: Request): unknown {
  return data === undefined ? { requestId } : isObject(data) ? { requestId, ...data } : data;
}

function reply({ type, requestId }: Request, ack: unknown): Message {
  const said = isObject(ack) ? ack : {};
  return said["ok"] === true
    ? { type: REPLIES[type] ?? type, requestId, data: said["data"] }
    : { type: "error", requestId, data: said["error"] };
}

function refusal(error: Error & { data?: unknown }): End {
  const code = isObject(error.data) ? error.data["code"] : undefined;
  return { code: (typeof code === "string" && REFUSALS[code]) || LOST, reason: error.message };
}

/** What chapters 11 and 14 say before they disconnect somebody: a close code, or a word for it. */
function farewell(said: unknown): End {
  const { code, reason } = isObject(said) ? said : {};
  const known = typeof code === "string" ? REFUSALS[code] : code;
  return {
    code: typeof known === "number" ? known : POLICY,
    reason: typeof reason === "string" ? reason : "",
  };
}

function ending(reason: Socket.DisconnectReason, details: unknown): End {
  // The library's own rule: whom the server has disconnected on purpose does not come back.
  if (reason === "io server disconnect") return { code: POLICY, reason };
  // The engine ends with 1000 whatever the matter is, so only what says more than that is believed.
  const event = isObject(details) ? details["context"] : undefined;
  const code = event instanceof Object && "code" in event ? event.code : undefined;
  const telling = typeof code === "number" && code > 1000 && code !== 1005;
  return { code: telling ? code : LOST, reason };
}
