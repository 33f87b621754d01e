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

/** Incremented when the theme changes, so that charts repaint. */
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

/** Value of a CSS variable in the current theme. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** CSS variables for the colours of lines; a single line has the first. */
export const LINE_COLOURS = ["accent", "amber", "up", "down", "muted", "text"] as const;
