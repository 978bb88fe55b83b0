/** Cutting wires: every socket that this process opens is known here, whichever library opens it. */

const links = new Set<{ terminate(): void }>();

/** From now on. Both libraries take the WebSocket that is there when they connect. */
export function watchSockets(): void {
  const Original = globalThis.WebSocket;
  globalThis.WebSocket = class extends Original {
    constructor(url: string | URL, protocols?: string | string[]) {
      super(url, protocols);
      links.add(this as unknown as { terminate(): void });
    }
  };
}

/** All of them, gone at once and without a close frame. */
export function cutAll(): void {
  for (const socket of links) socket.terminate();
  links.clear();
}
