export interface Choice {
  value: string;
  name: string;
  /** Further words that it can be typed by, such as a symbol. */
  also?: readonly string[];
}

/** A datalist writes its value into the field: the name first, so that typing finds it, and the value to tell two of one name apart. */
export const labelOf = ({ value, name }: Choice) => (name === value ? value : `${name} — ${value}`);

/**
 * The choice that a text names: its value or its label as written; then, in any case, its value, label, name or one of its other words. Null
 * where none is found, and where several are.
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
