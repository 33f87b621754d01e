import { connect } from "node:net";

/** A server that does not answer within this is not healthy. */
const ANSWER_TIMEOUT_MS = 2_000;

/**
 * Sends a request to a port of this machine and resolves to the first bytes of the response. Rejects without a
 * response.
 */
export function probe(port: number, request: Buffer, timeout_ms = ANSWER_TIMEOUT_MS): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, timeout: timeout_ms });
    const settle = (act: () => void) => {
      socket.destroy();
      act();
    };
    socket.once("connect", () => socket.write(request));
    socket.once("data", (data) => settle(() => resolve(data)));
    socket.once("timeout", () =>
      settle(() => reject(new Error(`port ${port} did not answer within ${timeout_ms} ms`))),
    );
    socket.once("error", (error) => settle(() => reject(error)));
    socket.once("close", () => reject(new Error(`port ${port} closed the connection without an answer`)));
  });
}
