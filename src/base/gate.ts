/** Lets pieces of work run together, or one alone. One that waits to be alone lets no other begin before it. */
export class Gate {
  readonly #together = new Set<Promise<unknown>>();
  #alone: Promise<unknown> | null = null;

  /** Runs `work`, together with other such work, and settles as it does. */
  async together<T>(work: () => Promise<T>): Promise<T> {
    while (this.#alone !== null) await this.#alone.catch(() => {});
    const running = work();
    this.#together.add(running);
    try {
      return await running;
    } finally {
      this.#together.delete(running);
    }
  }

  /** Runs `work` while no other runs, and settles as it does. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    while (this.#alone !== null) await this.#alone.catch(() => {});
    const running = Promise.allSettled(this.#together).then(work);
    this.#alone = running;
    try {
      return await running;
    } finally {
      this.#alone = null;
    }
  }
}
