import { useSignal } from "@preact/signals";
import type { Message, Messages } from "../../../src/serve/schemas/log.ts";
import { formatCount } from "../../format/number.ts";
import { Failure } from "../../components/states.tsx";
import { Moment } from "../../components/time.tsx";
import { pathOf } from "../../state/api.ts";
import { useResource } from "../../state/resource.ts";
import { formatJson } from "./json.ts";

const LINE_BYTES = 16;

/** A complete message with its offset and payload. */
export function Payload({ message, base }: { message: Message; base: string }) {
  const view = useSignal<"formatted" | "raw">("formatted");
  // Lists contain truncated payloads.
  const whole = useResource<Messages>(
    message.is_truncated ? pathOf(base, { partition: message.partition, offset: message.offset, limit: 1 }) : null,
  );
  const { value, error } = whole.state.value;
  const { payload, encoding } = value?.items[0] ?? message;
  return (
    <div class="payload">
      <p class="note payload-head">
        <span>
          partition {message.partition}, offset {formatCount(message.offset)}, received{" "}
          <Moment at={message.ingested_at} is_full />, {formatCount(message.size_bytes)} bytes
        </span>
        <span class="segments" role="group" aria-label="Payload format">
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
      {error ? <Failure what="The complete message" error={error} /> : null}
      <pre tabIndex={0}>
        {encoding === "base64" ? hexOf(payload) : view.value === "raw" ? payload : formatJson(payload)}
      </pre>
    </div>
  );
}

/** A hex dump of binary data. */
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
