import { existsSync, readFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { holdersOf } from "./process.ts";

const LISTENING = "0A";
const TABLES = ["/proc/net/tcp", "/proc/net/tcp6"];

/** Processes that listen on the port at any address. Processes that this user may not inspect are missing. */
export function listenersOn(port: number): number[] {
  const inodes = inodesOn(port);
  return inodes.size === 0 ? [] : holdersOf(inodes);
}

export function isListenedOn(port: number): boolean {
  return inodesOn(port).size > 0;
}

function inodesOn(port: number): Set<string> {
  const wanted = port.toString(16).toUpperCase().padStart(4, "0");
  const rows = TABLES.filter((table) => existsSync(table)).flatMap((table) =>
    readFileSync(table, "utf8").split("\n").slice(1),
  );
  const inodes = rows
    .map((row) => row.trim().split(/\s+/))
    .filter(([, local, , state]) => state === LISTENING && local?.endsWith(`:${wanted}`))
    .map((fields) => fields[9] ?? "");
  return new Set(inodes);
}

/** The given number of distinct ports on which no process listens now. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.once("error", reject);
          server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
  return ports;
}
