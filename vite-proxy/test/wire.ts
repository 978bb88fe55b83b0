/** A wire that can be cut: a TCP proxy, so it holds whichever library talks through it. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

export class Wire {
  #server: Server;
  #ends = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  static async to(port: number): Promise<Wire> {
    const server = createServer({ noDelay: true });
    const wire = new Wire(server);
    server.on("connection", (near) => {
      const far = connect({ port, host: "127.0.0.1", noDelay: true });
      for (const [end, other] of [
        [near, far],
        [far, near],
      ] as const) {
        wire.#ends.add(end);
        end.on("error", () => {}); // a cut is an error to somebody
        end.on("close", () => {
          wire.#ends.delete(end);
          other.destroy();
        });
        end.pipe(other);
      }
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return wire;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Everything that is on it ends at once, without a close frame. The next may connect. */
  cut(): void {
    for (const end of this.#ends) end.resetAndDestroy();
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise((stopped) => this.#server.close(stopped));
  }
}
