export interface Choice {
  value: string;
  name: string;
  /** Alternative names, such as a symbol. */
  also?: readonly string[];
}

/** The label in the datalist: the name first, so that typing finds it; the value distinguishes equal names. */
export const labelOf = ({ value, name }: Choice) => (name === value ? value : `${name} — ${value}`);

/**
 * Finds the choice that a text names: by exact value or label, then case-insensitively by value, label, name or
 * alternative name. Null if none or several match.
 */
export function findChoice(text: string, options: readonly Choice[]): Choice | null {
  const typed = text.trim();
  const wanted = typed.toLowerCase();
  const tests: ((option: Choice) => boolean)[] = [
    ({ value }) => value === typed,
    (option) => labelOf(option) === typed,
    (option) => [option.value, labelOf(option)].some((word) => word.toLowerCase() === wanted),
    ({ name, also = [] }) => [name, ...also].some((word) => word.toLowerCase() === wanted),
  ];
  const found = tests.map((test) => options.filter(test)).find(({ length }) => length > 0) ?? [];
  return found.length === 1 ? (found[0] ?? null) : null;
}
