import { styleText } from "node:util";
import { sentence } from "../base/explain.ts";
import { OperatingError } from "../base/errors.ts";
import { ProgressLines } from "./progress-lines.ts";

/** A command's output: results go to stdout, messages to stderr, so that pipes receive only results. */
export interface Output {
  is_json: boolean;
  /** The pipeline that begins each line, where several print to one terminal. */
  name: string | null;
  result(text: string): void;
  say(text: string): void;
  warn(text: string): void;
}

type Style = Parameters<typeof styleText>[0];

/** Styles a message for stderr. styleText colours terminals only, and honours NO_COLOR and FORCE_COLOR. */
export function style(format: Style, text: string): string {
  return styleText(format, text, { stream: process.stderr });
}

/** Styles a result for stdout, which may be a file while stderr is a terminal. */
export function styleResult(format: Style, text: string): string {
  return styleText(format, text, { stream: process.stdout });
}

export function openOutput(is_json: boolean): Output {
  return {
    is_json,
    name: null,
    result: (text) => process.stdout.write(text.endsWith("\n") ? text : `${text}\n`),
    say: (text) => process.stderr.write(`${text}\n`),
    warn: (text) => process.stderr.write(`${style("yellow", "warning")} ${text}\n`),
  };
}

/** The output of one of several pipelines: each of its messages begins with its name, in a column of this width. */
export function outputNamed(output: Output, name: string, width: number): Output {
  const named = (text: string): string => `${style("cyan", name.padEnd(width))}  ${text}`;
  return {
    is_json: output.is_json,
    name,
    result: (text) => output.result(output.is_json ? text : `\n${styleResult("cyan", name)}\n${text}`),
    say: (text) => output.say(named(text)),
    warn: (text) => output.warn(named(text)),
  };
}

/** Commands that work on one lake. */
const OF_A_LAKE =
  /^npm run -s coinlake -- (?:alerts|ask|backup|dbt|maintain|query|quality|repair|rules|transform|verify)\b/;

/**
 * A next step whose commands name the lake that this command was given, so that they work on the same one. `args` are
 * this command's arguments.
 */
export function withLakeOptions(step: string, args: readonly string[] = process.argv.slice(2)): string {
  const given = ["--data", "--lake"].flatMap((option) => {
    const value = args[args.indexOf(option) + 1];
    return args.includes(option) && value !== undefined ? [{ option, value }] : [];
  });
  return step.replaceAll(/`([^`]+)`/g, (quoted, command: string) => {
    const missing = given.filter(({ option }) => !command.includes(option));
    if (!OF_A_LAKE.test(command) || missing.length === 0) return quoted;
    const options = missing.map(({ option, value }) => `${option} ${/[^\w./:-]/.test(value) ? `"${value}"` : value}`);
    return `\`${command} ${options.join(" ")}\``;
  });
}

/** Formats an error and its next step; a programming error keeps its stack, for the bug report. */
export function explain(error: unknown): string {
  if (error instanceof OperatingError) {
    const message = `${style("red", "error")} ${sentence(error.message)} ${style("dim", `[${error.code}]`)}`;
    return `${message}\n  ${style("bold", "next:")} ${withLakeOptions(error.next_step)}`;
  }
  const stack = error instanceof Error ? error.stack : String(error);
  const message = `${style("red", "error")} This is a bug in Coinlake, not a mistake of yours:\n${stack}`;
  return `${message}\n  ${style("bold", "next:")} Please report it with the lines above.`;
}

/** Formats a usage error like every other error; `text` is the parser's, which begins with "error: ". */
export function usageError(text: string, command: string): string {
  const message = text.trim().replace(/^error: /, "");
  const first = `${style("red", "error")} ${message} ${style("dim", "[USAGE]")}`;
  return `${first}\n  ${style("bold", "next:")} \`${command} --help\` shows usage and an example\n`;
}

const BAR_WIDTH = 30;
const REDRAW_MS = 200;

const lines = new ProgressLines((line) => process.stderr.write(`${line}\n`));

/** A progress bar on a terminal; a line now and then if stderr is a file or a pipe. */
export function progressBar(label: string): { update(done: number, total: number | null): void; end(): void } {
  if (!process.stderr.isTTY) return { update: (done, total) => lines.update(label, done, total), end() {} };
  let drawn_at = 0;
  const draw = (done: number, total: number | null) => {
    const count = done.toLocaleString("en");
    const share = total ? Math.min(1, done / total) : 0;
    const filled = Math.round(share * BAR_WIDTH);
    const bar = total
      ? `${"█".repeat(filled)}${"░".repeat(BAR_WIDTH - filled)} ${Math.floor(share * 100)} % of ` +
        `${total.toLocaleString("en")}`
      : count;
    process.stderr.write(`\r\x1b[K${label} ${bar}`);
  };
  return {
    update(done, total) {
      const now = performance.now();
      if (now - drawn_at < REDRAW_MS && done !== total) return;
      drawn_at = now;
      draw(done, total);
    },
    end: () => process.stderr.write("\r\x1b[K"),
  };
}
