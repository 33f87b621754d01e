/**
 * Formats JSON by adding line breaks and indentation only. It is not parsed, so that numbers keep all digits and
 * invalid JSON stays readable.
 */
export function formatJson(text: string): string {
  let [out, depth, is_text] = ["", 0, false];
  for (let index = 0; index < text.length; index += 1) {
    const character = text.charAt(index);
    if (is_text) {
      out += character;
      if (character === "\\") out += text.charAt((index += 1));
      else if (character === '"') is_text = false;
    } else if (character === '"') [out, is_text] = [out + character, true];
    else if (/\s/.test(character)) continue;
    else if (character === "{" || character === "[") {
      const closing = /^\s*[\]}]/.exec(text.slice(index + 1, index + 20));
      if (closing) [out, index] = [out + character + closing[0].trim(), index + closing[0].length];
      else out += `${character}\n${"  ".repeat((depth += 1))}`;
    } else if (character === "}" || character === "]")
      out += `\n${"  ".repeat((depth = Math.max(0, depth - 1)))}${character}`;
    else if (character === ",") out += `,\n${"  ".repeat(depth)}`;
    else out += character === ":" ? ": " : character;
  }
  return out;
}
