export interface Loop {
  end: Promise<void>;
  /** Asks it to end and waits until it has; throws what ended it. */
  stop(): Promise<void>;
}

export function startLoop(signal: AbortSignal, work: (signal: AbortSignal) => Promise<void>): Loop {
  const own = new AbortController();
  const end = work(AbortSignal.any([signal, own.signal]));
  // Whoever awaits `end` sees its error; until then it must not count as unhandled.
  end.catch(() => {});
  return {
    end,
    stop: () => {
      own.abort();
      return end;
    },
  };
}
