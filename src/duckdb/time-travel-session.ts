import { Turns } from "../base/turns.ts";
import type { QuerySession, TableSnapshot } from "./session.ts";

/**
 * One query session, shared by work that reads the tables as of different times. The tables' names refer to one time
 * per session, so such work runs one at a time, in call order.
 */
export class TimeTravelSession {
  readonly #open: () => Promise<QuerySession>;
  readonly #turns = new Turns(1);
  #session: Promise<QuerySession> | null = null;
  #waiting = 0;

  /** `open` is called on first use, and again after it has failed. */
  constructor(open: () => Promise<QuerySession>) {
    this.#open = open;
  }

  /** The number of queued calls that have not started. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Runs work that does not travel in time, concurrently with all other work. */
  async shared<T>(work: (session: QuerySession) => Promise<T>): Promise<T> {
    return work(await this.#opened());
  }

  /** Runs work that may travel in time. */
  async exclusive<T>(work: (session: QuerySession) => Promise<T>): Promise<T> {
    this.#waiting += 1;
    return this.#turns.take(async () => {
      this.#waiting -= 1;
      return work(await this.#opened());
    });
  }

  /** Runs the work with the tables as they were at `at_ms`. */
  at<T>(at_ms: number, work: (session: QuerySession, snapshots: TableSnapshot[]) => Promise<T>): Promise<T> {
    return this.exclusive(async (session) => work(session, await session.travelTo(at_ms)));
  }

  /** Closes the session after the exclusive work that was queued before. */
  async close(): Promise<void> {
    await this.#turns.take(async () => {
      // The caller that needed the session received the error of a failed open.
      (await this.#session?.catch(() => null))?.close();
    });
  }

  #opened(): Promise<QuerySession> {
    if (this.#session !== null) return this.#session;
    const session = this.#open();
    this.#session = session;
    session.catch(() => {
      if (this.#session === session) this.#session = null;
    });
    return session;
  }
}
