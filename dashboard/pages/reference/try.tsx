import { useSignal } from "@preact/signals";
import { hrefOf } from "../../base.ts";
import { formatDuration } from "../../format/time.ts";
import { pathOf } from "../../state/api.ts";
import { describeType, type Parameter } from "./openapi.ts";

const SHOWN_CHARACTERS = 20_000;

interface Answer {
  status: number;
  elapsed_ms: number;
  text: string;
}

/** Sends a request with the entered parameters, and shows the equivalent curl command. */
export function Try({ path, parameters }: { path: string; parameters: readonly Parameter[] }) {
  const values = useSignal<Readonly<Record<string, string>>>({});
  const answer = useSignal<Answer | null>(null);
  const inPath = new Set([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name));
  const filled = path.replace(/\{(\w+)\}/g, (whole, name: string) =>
    values.value[name] ? encodeURIComponent(values.value[name]) : whole,
  );
  const query = Object.fromEntries(Object.entries(values.value).filter(([name]) => !inPath.has(name)));
  const url = hrefOf(pathOf(filled, query));
  const send = async () => {
    const started_ms = performance.now();
    try {
      const response = await fetch(url);
      const text = await response.text();
      answer.value = { status: response.status, elapsed_ms: performance.now() - started_ms, text: pretty(text) };
    } catch (error) {
      answer.value = {
        status: 0,
        elapsed_ms: performance.now() - started_ms,
        text: error instanceof Error ? error.message : String(error),
      };
    }
  };
  return (
    <form
      class="try"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <h3>Try it</h3>
      <div class="fields">
        {parameters
          .filter(({ in: where }) => where === "path" || where === "query")
          .map(({ name, schema, required }) => (
            <label key={name} class="field">
              <span>{name}</span>
              <input
                type="text"
                required={required ?? false}
                placeholder={describeType(schema).slice(0, 40)}
                value={values.value[name] ?? ""}
                onInput={(event) => (values.value = { ...values.value, [name]: event.currentTarget.value })}
              />
            </label>
          ))}
      </div>
      <p class="form-foot">
        <button type="submit" class="button">
          Send
        </button>
        <code>curl &apos;{location.origin + url}&apos;</code>
      </p>
      {answer.value === null ? null : (
        <>
          <p class="note" role="status">
            {answer.value.status === 0 ? "no response" : answer.value.status} in{" "}
            {formatDuration(answer.value.elapsed_ms)}
          </p>
          <pre tabIndex={0}>{answer.value.text.slice(0, SHOWN_CHARACTERS)}</pre>
        </>
      )}
    </form>
  );
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    // Responses other than JSON are shown unchanged.
    return text;
  }
}
