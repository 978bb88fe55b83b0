/** A link over the browser's own WebSocket. */
import { decode } from "./envelope";
import type { Dial } from "./link";

export const dialWebSocket: Dial = ({ url }, events) => {
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => {
    events.opened();
  };
  socket.onmessage = ({ data }: MessageEvent<unknown>) => {
    events.heard();
    const message = decode(data);
    if (message) events.message(message);
  };
  socket.onclose = ({ code, reason }) => {
    events.ended({ code, reason });
  };
  socket.onerror = () => {}; // says nothing that onclose does not say better; Node's `ws` wants one

  return {
    send: (request) => {
      socket.send(JSON.stringify(request));
    },
    ping: () => {
      socket.send('{"type":"ping"}');
    },
    close: (code, reason) => {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close(code, reason); // the browser ends it in its own time, and we hear no more of it
    },
    get bufferedAmount() {
      return socket.bufferedAmount;
    },
  };
};

/** `/ws` or `ws://host/ws` as an absolute address; a path belongs to the server of this page. */
export function absolute(address: string, page: string | URL = location.href): URL {
  const url = new URL(address, page);
  url.protocol = url.protocol.replace(/^http/, "ws");
  return url;
}
