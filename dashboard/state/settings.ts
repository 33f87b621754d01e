import { effect, signal } from "@preact/signals";
import type { Zone } from "../format/time.ts";

export type Theme = "system" | "dark" | "light";

function stored<T extends string>(name: string, allowed: readonly T[], otherwise: T) {
  const found = localStorage.getItem(`coinlake.${name}`);
  const setting = signal<T>(allowed.find((value) => value === found) ?? otherwise);
  effect(() => localStorage.setItem(`coinlake.${name}`, setting.value));
  return setting;
}

export const theme = stored<Theme>("theme", ["system", "dark", "light"], "system");
export const zone = stored<Zone>("zone", ["utc", "local"], "utc");

/** Counts changes of the colours in force, for what paints itself: charts. */
export const palette = signal(0);

effect(() => {
  const { dataset } = document.documentElement;
  if (theme.value === "system") delete dataset["theme"];
  else dataset["theme"] = theme.value;
  palette.value = palette.peek() + 1;
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  palette.value += 1;
});

export function toggleTheme(): void {
  const order: Theme[] = ["system", "dark", "light"];
  theme.value = order[(order.indexOf(theme.value) + 1) % order.length] ?? "system";
}

export function toggleZone(): void {
  zone.value = zone.value === "utc" ? "local" : "utc";
}

/** The value of a CSS variable as the theme has it now. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Colours for lines, in the theme's own; the first is what one line alone takes. */
export const LINE_COLOURS = ["accent", "amber", "up", "down", "muted", "text"] as const;
