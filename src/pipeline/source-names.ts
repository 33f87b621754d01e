/** The names in the text of a source: `name:argument` has one, a list without arguments has several. */
export function namesIn(text: string): string[] {
  const colon = text.indexOf(":");
  return colon < 0 ? text.split(",").map((name) => name.trim()) : [text.slice(0, colon)];
}
