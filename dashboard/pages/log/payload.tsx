import { useSignal } from "@preact/signals";
import type { Message, Messages } from "../../../src/serve/schemas/log.ts";
import { formatCount } from "../../format/number.ts";
import { Failure } from "../../parts/states.tsx";
import { Moment } from "../../parts/time.tsx";
import { pathOf } from "../../state/api.ts";
import { useResource } from "../../state/resource.ts";

const LINE_BYTES = 16;

/** One message whole: where it lies, and what it holds. */
export function Payload({ message, base }: { message: Message; base: string }) {
  const view = useSignal<"formatted" | "raw">("formatted");
  // A list carries only the beginning of what is long.
  const whole = useResource<Messages>(message.is_cut ? pathOf(base, { partition: message.partition, offset: message.offset, limit: 1 }) : null);
  const { value, error } = whole.state.value;
  const { payload, encoding } = value?.items[0] ?? message;
  return (
    <div class="payload">
      <p class="note payload-head">
        <span>
          partition {message.partition}, offset {formatCount(message.offset)}, received <Moment at={message.ingested_at} is_full />, {formatCount(message.size_bytes)} bytes
        </span>
        <span class="segments" role="group" aria-label="How to show the payload">
          {(["formatted", "raw"] as const).map((name) => (
            <button key={name} type="button" aria-pressed={view.value === name} onClick={() => (view.value = name)}>
              {name}
            </button>
          ))}
        </span>
        <button type="button" class="button small" onClick={() => void navigator.clipboard.writeText(payload)}>
          Copy
        </button>
      </p>
      {error ? <Failure what="The whole message" error={error} /> : null}
      <pre tabIndex={0}>{encoding === "base64" ? hexOf(payload) : view.value === "raw" ? payload : formatJson(payload)}</pre>
    </div>
  );
}

/**
 * JSON with line breaks and indents put between its own characters. It is not parsed: numbers stay digit for digit as they
 * came, and what is no JSON stays readable.
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
    } else if (character === "}" || character === "]") out += `\n${"  ".repeat((depth = Math.max(0, depth - 1)))}${character}`;
    else if (character === ",") out += `,\n${"  ".repeat(depth)}`;
    else out += character === ":" ? ": " : character;
  }
  return out;
}

/** Bytes that are no text, as a hex dump. */
function hexOf(base64: string): string {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += LINE_BYTES) {
    const line = Array.from(bytes.subarray(at, at + LINE_BYTES));
    const hex = line.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const text = line.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : ".")).join("");
    lines.push(`${at.toString(16).padStart(6, "0")}  ${hex.padEnd(LINE_BYTES * 3)} ${text}`);
  }
  return lines.join("\n");
}
