/** Terminal width of a text: East Asian wide characters and emoji take two columns, combining marks none. */

const WIDE_RANGES = [
  String.raw`\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3`,
  String.raw`\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}`,
];
const WIDE = new RegExp(`[${WIDE_RANGES.join("")}]`, "u");
const ZERO = /^[\p{Mn}\p{Me}\p{Cf}]$/u;
const ASCII = /^[\x20-\x7e]*$/;
const ELLIPSIS = "…";

export function displayWidth(text: string): number {
  if (ASCII.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += ZERO.test(character) ? 0 : WIDE.test(character) ? 2 : 1;
  return width;
}

/** Truncates each line of a text to `width` columns; "…" replaces the rest. */
export function elide(text: string, width: number): string {
  if (text.includes("\n"))
    return text
      .split("\n")
      .map((line) => elide(line, width))
      .join("\n");
  if (displayWidth(text) <= width) return text;
  let kept = "";
  let used = 1;
  for (const character of text) {
    used += displayWidth(character);
    if (used > width) break;
    kept += character;
  }
  return `${kept}${ELLIPSIS}`;
}

/** Breaks a text at spaces into lines of at most `width` columns, or of the width of its longest word. */
export function wrapWords(text: string, width: number): string {
  if (text.includes("\n"))
    return text
      .split("\n")
      .map((line) => wrapWords(line, width))
      .join("\n");
  const words = text.split(" ");
  const most = Math.max(width, ...words.map(displayWidth));
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && displayWidth(last) + 1 + displayWidth(word) <= most)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.join("\n");
}
