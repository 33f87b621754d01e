import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { WebSocketServer, type WebSocket } from "ws";
import { DIALECTS, type ExchangeDialect, type ExchangeKind, type KnownTrade } from "./exchange-messages.ts";

/** Response to the next REST request; without a command, the correct response. */
export type RestCommand =
  | { do: "answer"; status: number; headers?: Record<string, string>; body: string }
  | { do: "hang" }
  | { do: "cut" };

/** Response to the next handshakes. */
export interface HandshakeCommand {
  status: number;
  headers?: Record<string, string>;
}

interface Client {
  socket: WebSocket;
  subscribed: string[];
}

const MAX_BURST_S = 0.1;

/**
 * A local exchange: a WebSocket feed and its REST route over one known stream of trades, with the faults of real
 * exchanges on command. It records every trade, delivered or not.
 */
export class ExchangeServer {
  readonly kind: ExchangeKind;
  /** The known stream by product, ordered by id. */
  readonly trades = new Map<string, KnownTrade[]>();
  /** Paths of the REST requests, in order. */
  readonly requests: string[] = [];
  readonly rest_commands: RestCommand[] = [];
  readonly handshake_commands: HandshakeCommand[] = [];
  /** Rejected products; all others are known. */
  readonly unknown_products = new Set<string>();
  /** Trades that REST omits. */
  readonly forgotten = new Set<KnownTrade>();
  /** Sends neither messages nor pongs, while connections remain open. */
  is_silent = false;
  are_acks_withheld = false;
  connections = 0;
  readonly #dialect: ExchangeDialect;
  readonly #clients = new Set<Client>();
  readonly #sockets = new Set<Socket>();
  #http: Server | null = null;
  #port = 0;
  #heartbeats: NodeJS.Timeout | null = null;

  private constructor(kind: ExchangeKind) {
    this.kind = kind;
    this.#dialect = DIALECTS[kind];
  }

  static async start(kind: ExchangeKind, options: { heartbeat_ms?: number } = {}): Promise<ExchangeServer> {
    const server = new ExchangeServer(kind);
    await server.listen();
    server.#heartbeats = setInterval(() => server.#beat(), options.heartbeat_ms ?? 1000);
    return server;
  }

  /** Listens on its previous port, or on a free one the first time. */
  async listen(): Promise<void> {
    const http = createServer((request, response) => this.#answer(request, response));
    http.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    const feed = new WebSocketServer({ noServer: true, autoPong: false });
    http.on("upgrade", (request, socket, head) => {
      const command = this.handshake_commands.shift();
      if (command === undefined)
        return feed.handleUpgrade(request, socket, head, (client) => this.#greet(client, request));
      const headers = Object.entries(command.headers ?? {}).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.end(`HTTP/1.1 ${command.status} No\r\n${headers.join("")}content-length: 0\r\nconnection: close\r\n\r\n`);
    });
    await new Promise<void>((resolve) => void http.listen(this.#port, "127.0.0.1", resolve));
    this.#port = (http.address() as AddressInfo).port;
    this.#http = http;
  }

  /** Simulates a crash of the machine: breaks every connection and stops listening. */
  async kill(): Promise<void> {
    this.cut();
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => (this.#http === null ? resolve() : void this.#http.close(() => resolve())));
    this.#http = null;
  }

  async stop(): Promise<void> {
    if (this.#heartbeats !== null) clearInterval(this.#heartbeats);
    await this.kill();
  }

  get ws_url(): string {
    return `ws://127.0.0.1:${this.#port}${this.#dialect.ws_path}`;
  }

  get rest_url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Environment variables that point a Coinlake process to this server. */
  environment(products: readonly string[]): Record<string, string> {
    const prefix = `COINLAKE_${this.kind.toUpperCase()}`;
    return {
      [`${prefix}_WS_URL`]: this.ws_url,
      [`${prefix}_REST_URL`]: this.rest_url,
      [`${prefix}_PRODUCTS`]: products.join(","),
    };
  }

  /** Bytes sent to clients that are still in the sockets' buffers. */
  get unsent_bytes(): number {
    return [...this.#clients].reduce((sum, { socket }) => sum + socket.bufferedAmount, 0);
  }

  get clients(): number {
    return this.#clients.size;
  }

  isSubscribed(product: string): boolean {
    return [...this.#clients].some(({ subscribed }) => subscribed.includes(product));
  }

  /** Creates the next trade of a product, without delivering it. */
  make(product: string, options: { price?: string; quantity?: string; at_us?: number } = {}): KnownTrade {
    const known = this.trades.get(product) ?? [];
    this.trades.set(product, known);
    const newest = known.at(-1);
    const id = (newest?.id ?? 1000) + 1;
    // Strictly increasing, because Kraken's REST pages by time.
    const at_us = options.at_us ?? Math.max(Date.now() * 1000, (newest?.at_us ?? 0) + 1);
    const trade = {
      product,
      id,
      price: options.price ?? `${100 + (id % 50)}.${String(id % 1000).padStart(3, "0")}`,
      quantity: options.quantity ?? "0.0012300",
      at_us,
    };
    known.push(trade);
    return trade;
  }

  /** Delivers trades to all subscribers, in the given order. */
  deliver(...trades: readonly KnownTrade[]): void {
    for (const client of this.#clients) {
      const wanted = trades.filter(({ product }) => client.subscribed.includes(product));
      for (const message of this.#dialect.messages(wanted)) this.#send(client, message);
    }
  }

  trade(product: string, options: { price?: string; quantity?: string; at_us?: number } = {}): KnownTrade {
    const trade = this.make(product, options);
    this.deliver(trade);
    return trade;
  }

  /**
   * Trades all products in turn, at a total rate per second, until the signal aborts; trades for which `lose` is true
   * are not delivered.
   */
  async run(options: {
    products: readonly string[];
    per_second: number;
    signal: AbortSignal;
    lose?: (trade: KnownTrade) => boolean;
  }): Promise<void> {
    const { products, per_second, signal, lose = () => false } = options;
    let [last_ms, owed, made] = [performance.now(), 0, 0];
    while (!signal.aborted) {
      const now_ms = performance.now();
      // After a pause of a busy machine the market does not catch up, so no burst follows.
      owed = Math.min(owed + ((now_ms - last_ms) / 1000) * per_second, per_second * MAX_BURST_S);
      last_ms = now_ms;
      for (; owed >= 1; owed -= 1) {
        const trade = this.make(products[made % products.length] ?? "");
        made += 1;
        if (!lose(trade)) this.deliver(trade);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Sends the data unchanged to every client. */
  send(data: string | Buffer): void {
    for (const client of this.#clients) this.#send(client, data);
  }

  /** Breaks every connection without a close message. */
  cut(): void {
    for (const { socket } of this.#clients) socket.terminate();
    this.#clients.clear();
  }

  /** Closes every connection as servers do. */
  close(code = 1001): void {
    for (const { socket } of this.#clients) socket.close(code, "going away");
    // Later messages reach no client.
    this.#clients.clear();
  }

  #greet(socket: WebSocket, request: IncomingMessage): void {
    this.connections += 1;
    const client: Client = {
      socket,
      subscribed: this.#dialect.inAddress(new URL(request.url ?? "/", "http://localhost")),
    };
    this.#clients.add(client);
    socket.on("close", () => this.#clients.delete(client));
    socket.on("error", () => this.#clients.delete(client));
    socket.on("ping", (data) => {
      if (!this.is_silent) socket.pong(data);
    });
    socket.on("message", (data) => {
      const before = client.subscribed;
      const { answers, subscribed } = this.#dialect.hear(
        String(data),
        before,
        (product) => !this.unknown_products.has(product),
      );
      if (this.are_acks_withheld) return;
      client.subscribed = subscribed;
      for (const answer of answers) this.#send(client, answer);
      for (const product of subscribed.filter((one) => !before.includes(one))) {
        for (const message of this.#dialect.welcome(this.trades.get(product)?.at(-1))) this.#send(client, message);
      }
    });
  }

  #send({ socket }: Client, data: string | Buffer): void {
    if (!this.is_silent) socket.send(data);
  }

  #beat(): void {
    for (const client of this.#clients) {
      const newest = new Map(client.subscribed.map((product) => [product, this.trades.get(product)?.at(-1)?.id ?? 0]));
      if (client.subscribed.length > 0)
        for (const message of this.#dialect.heartbeats(newest)) this.#send(client, message);
    }
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? "/", "http://localhost");
    this.requests.push(url.pathname + url.search);
    const command = this.rest_commands.shift();
    if (command?.do === "hang") return;
    if (command?.do === "cut") return void request.socket.destroy();
    const tradesOf = (product: string): KnownTrade[] =>
      (this.trades.get(product) ?? []).filter((trade) => !this.forgotten.has(trade));
    const body = command?.body ?? this.#dialect.rest(url, tradesOf);
    const status = command?.status ?? (body === null ? 404 : 200);
    response
      .writeHead(status, { "content-type": "application/json", ...command?.headers })
      .end(body ?? '{"message":"NotFound"}');
  }
}
