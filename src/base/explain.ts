/**
 * Joins message and next step to one text. No other code joins them for the command line, logs, reports and the
 * dashboard.
 */
export function explain({ message, next_step }: { message: string; next_step: string }): string {
  return `${sentence(message)} ${next_step}`;
}

/**
 * Adds the final period that error messages lack. A message that quotes its cause may already end in punctuation or a
 * parser's caret.
 */
export function sentence(message: string): string {
  return /[.!?:^…]$/.test(message) ? message : `${message}.`;
}
