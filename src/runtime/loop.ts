export interface Loop {
  end: Promise<void>;
  /** Aborts the loop and waits for its end. Throws the error that ended it. */
  stop(): Promise<void>;
}

export function startLoop(signal: AbortSignal, work: (signal: AbortSignal) => Promise<void>): Loop {
  const own = new AbortController();
  const end = work(AbortSignal.any([signal, own.signal]));
  // A caller that awaits `end` sees the error; until then the rejection must not count as unhandled.
  end.catch(() => {});
  return {
    end,
    stop: () => {
      own.abort();
      return end;
    },
  };
}
