import { connect, createServer, type AddressInfo, type Socket } from "node:net";

/** A proxy between a browser and a server that can disconnect and connect to another server. */
export interface Cable {
  url: string;
  /** Ends every connection and rejects new ones. */
  pull(): void;
  /** Accepts connections again, to the same server or another. */
  plug(url?: string): void;
  close(): Promise<void>;
}

export async function layCable(to: string): Promise<Cable> {
  let target: URL | null = new URL(to);
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    if (target === null) {
      socket.destroy();
      return;
    }
    const upstream = connect(Number(target.port), target.hostname);
    for (const [one, other] of [
      [socket, upstream],
      [upstream, socket],
    ] as const) {
      sockets.add(one);
      one.pipe(other);
      one.once("close", () => {
        sockets.delete(one);
        other.destroy();
      });
      // The close event reports the error to the other end.
      one.on("error", () => one.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    pull() {
      target = null;
      cut();
    },
    plug(url = to) {
      target = new URL(url);
    },
    async close() {
      cut();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}
