import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { OperatingError } from "./errors.ts";

export interface ListenOptions {
  /** Name of the server, as the subject of an error message. */
  name: string;
  host: string;
  /** 0 for any free port. */
  port: number;
  /** The option that selects another port. */
  port_option: string;
  /** Maximum wait for requests in progress when the server closes. */
  close_timeout_ms: number;
}

export interface Listening {
  /** Without a trailing slash. */
  url: string;
  port: number;
  /** Waits for requests in progress, at most `close_timeout_ms`. */
  close(): Promise<void>;
}

/** Throws PORT_TAKEN, PORT_NOT_ALLOWED. */
export async function listen(server: Server, options: ListenOptions): Promise<Listening> {
  const { host, close_timeout_ms } = options;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(failure(error, options)));
    server.listen(options.port, host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${port}`,
    port,
    async close() {
      const timer = setTimeout(() => server.closeAllConnections(), close_timeout_ms);
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      });
      clearTimeout(timer);
    },
  };
}

function failure(cause: NodeJS.ErrnoException, { name, host, port, port_option }: ListenOptions): OperatingError {
  const another = `choose another port with ${port_option}; 0 takes any free one.`;
  if (cause.code === "EADDRINUSE") {
    return new OperatingError("PORT_TAKEN", `${name}'s port ${port} on ${host} is taken by another program`, {
      next_step: `Stop that program (perhaps this one is running already), or ${another}`,
      cause,
    });
  }
  return new OperatingError("PORT_NOT_ALLOWED", `${name} cannot listen on ${host}:${port}: ${cause.message}`, {
    next_step: cause.code === "EACCES" ? `C${another.slice(1)}` : `Give an address of this machine, or ${another}`,
    cause,
  });
}
