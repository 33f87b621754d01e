import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import { findChoice, labelOf, type Choice } from "./find-choice.ts";

interface ChoicesProps {
  label: string;
  /** Placeholder shown without a choice. */
  none: string;
  options: readonly Choice[];
  chosen: readonly string[];
  choose: (values: readonly string[]) => void;
}

const MAX_OPTIONS = 500;

/** Multiple choice from a list, typed or picked. Text that is not in the list is kept; the server validates it. */
export function Choices({ label, none, options, chosen, choose }: ChoicesProps) {
  const typed = useSignal("");
  const list = useId();
  const nameOf = new Map(options.map(({ value, name }) => [value, name]));
  const add = (text: string) => {
    const words = findChoice(text, options) === null ? text.split(",") : [text];
    const values = words
      .map((word) => word.trim())
      .filter(Boolean)
      .map((word) => findChoice(word, options)?.value ?? word);
    typed.value = "";
    if (values.length > 0) choose([...new Set([...chosen, ...values])]);
  };
  const onInput = (text: string) => {
    typed.value = text;
    // Picking from the datalist fires an input event with the whole label.
    if (options.some((option) => labelOf(option) === text) || text.endsWith(",")) add(text);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Enter" && typed.value.trim() !== "") {
      event.preventDefault();
      add(typed.value);
    } else if (event.key === "Backspace" && typed.value === "") choose(chosen.slice(0, -1));
  };
  return (
    <div class="field wide choices">
      <label for={`${list}-input`}>{label}</label>
      <div class="choices-box">
        {chosen.map((value) => (
          <span
            key={value}
            class={`choice ${options.length > 0 && !nameOf.has(value) ? "is-unknown" : ""}`}
            title={nameOf.has(value) ? value : "unknown"}
          >
            {nameOf.get(value) ?? value}
            <button
              type="button"
              aria-label={`Remove ${nameOf.get(value) ?? value}`}
              onClick={() => choose(chosen.filter((other) => other !== value))}
            >
              ×
            </button>
          </span>
        ))}
        <input
          id={`${list}-input`}
          type="text"
          list={list}
          autoComplete="off"
          placeholder={chosen.length === 0 ? none : ""}
          value={typed.value}
          onInput={(event) => onInput(event.currentTarget.value)}
          onKeyDown={onKeyDown}
          onBlur={() => add(typed.value)}
        />
      </div>
      <datalist id={list}>
        {options
          .filter(({ value }) => !chosen.includes(value))
          .slice(0, MAX_OPTIONS)
          .map((option) => (
            <option key={option.value} value={labelOf(option)} label={(option.also ?? []).join(", ")} />
          ))}
      </datalist>
    </div>
  );
}
