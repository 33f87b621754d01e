/** Message and next step as one text: the only place that joins them, for the command line, logs, reports and the dashboard. */
export function explain({ message, next_step }: { message: string; next_step: string }): string {
  return `${sentence(message)} ${next_step}`;
}

/** Error messages have no final period. A message that quotes its cause may end in punctuation or a parser's caret all the same. */
export function sentence(message: string): string {
  return /[.!?:^…]$/.test(message) ? message : `${message}.`;
}
