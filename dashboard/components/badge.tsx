import type { ComponentChildren } from "preact";

export type Tone = "good" | "bad" | "warn" | "plain" | "accent";

/** A labelled badge; the colour repeats what the label says. */
export function Badge({
  tone = "plain",
  children,
  title,
}: {
  tone?: Tone;
  children: ComponentChildren;
  title?: string;
}) {
  return (
    <span class={`badge ${tone}`} title={title}>
      {children}
    </span>
  );
}

const SHAPES: Record<Tone, string> = { good: "●", bad: "✕", warn: "▲", plain: "○", accent: "◆" };

/** A state as a shape, so that it is recognisable without colour. */
export function Dot({ tone }: { tone: Tone }) {
  return (
    <span class={`dot ${tone}`} aria-hidden="true">
      {SHAPES[tone]}
    </span>
  );
}
