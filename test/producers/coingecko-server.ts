import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";

/** Response to the next request. `otherwise` applies after the last command. */
export type Command =
  | { do: "answer"; status?: number; headers?: Record<string, string>; body: string | Uint8Array; gzip?: boolean }
  | { do: "hang" }
  | { do: "hang_mid_body"; body: string }
  | { do: "cut_mid_body"; body: string }
  | { do: "cut" };

export interface ReceivedRequest {
  path: string;
  query: Record<string, string>;
  headers: Record<string, string | string[] | undefined>;
}

/** A local server that implements CoinGecko's protocol, and fails on command. */
export class CoingeckoServer {
  readonly seen: ReceivedRequest[] = [];
  readonly commands: Command[] = [];
  otherwise: Command = { do: "answer", body: "[]" };
  readonly #server = createServer((request, response) => this.#handle(request, response));

  static async start(): Promise<CoingeckoServer> {
    const server = new CoingeckoServer();
    await new Promise<void>((resolve) => void server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get base_url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/api/v3`;
  }

  /** The requests for pages, without a probe's pings. */
  get pages(): ReceivedRequest[] {
    return this.seen.filter(({ path }) => path === "/api/v3/coins/markets");
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => void this.#server.close(() => resolve()));
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? "/", "http://localhost");
    this.seen.push({ path: url.pathname, query: Object.fromEntries(url.searchParams), headers: request.headers });
    const command = this.commands.shift() ?? this.otherwise;
    switch (command.do) {
      case "answer": {
        const body = Buffer.from(command.body);
        const headers = { "content-type": "application/json; charset=utf-8", ...command.headers };
        if (command.gzip === true)
          response.writeHead(command.status ?? 200, { ...headers, "content-encoding": "gzip" }).end(gzipSync(body));
        else response.writeHead(command.status ?? 200, headers).end(body);
        break;
      }
      case "hang":
        break;
      case "hang_mid_body":
        response.writeHead(200, { "content-length": String(command.body.length * 2) }).write(command.body);
        break;
      case "cut_mid_body":
        response
          .writeHead(200, { "content-length": String(command.body.length * 2) })
          .write(command.body, () => request.socket.destroy());
        break;
      case "cut":
        request.socket.destroy();
        break;
    }
  }
}

/** A page as the real source sends it, with its field names and order, numbers that are not text, and nulls. */
export const PAGE =
  `[{"id":"bitcoin","symbol":"btc","name":"Bitcoin",` +
  `"image":"https://coin-images.coingecko.com/coins/images/1/large/bitcoin.png",` +
  `"current_price":67187.3358936566,"market_cap":1317802988326,"market_cap_rank":1,` +
  `"fully_diluted_valuation":1407735105403,"total_volume":31260929299,` +
  `"high_24h":69371,"low_24h":66979,"price_change_24h":-2129.91,` +
  `"price_change_percentage_24h":-3.07,"market_cap_change_24h":-40512444829,` +
  `"market_cap_change_percentage_24h":-2.98,"circulating_supply":19681000.0,` +
  `"total_supply":21000000.0,"max_supply":21000000.0,"ath":73738,` +
  `"ath_change_percentage":-8.9,"ath_date":"2024-03-14T07:10:36.635Z","atl":67.81,` +
  `"atl_change_percentage":98954.2,"atl_date":"2013-07-06T00:00:00.000Z",` +
  `"roi":null,"last_updated":"2025-10-10T11:59:41.123Z",` +
  `"price_change_percentage_1h_in_currency":-0.21},` +
  `{"id":"tiny-coin","symbol":"tiny","name":"Tiny \\u2603 Coin",` +
  `"current_price":1.2e-08,"market_cap":null,"market_cap_rank":null,` +
  `"total_volume":null,"roi":null,"last_updated":"2025-10-10T11:59:40.001Z"}]`;
