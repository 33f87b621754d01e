import type { AnswerColumn, AnswerPart } from "../../../src/serve/schemas/answers.ts";
import { Change, Missing } from "../../components/figures.tsx";
import { Moment } from "../../components/time.tsx";
import { formatAmount, formatDecimal, formatExact, formatPrice, parseDecimal, roundTo } from "../../format/decimal.ts";
import { formatCount, formatFigure } from "../../format/number.ts";

export type Row = AnswerPart["rows"][number];

/** `sales (USD)` → sales and USD. */
export function labelOf({ header, kind }: Pick<AnswerColumn, "header" | "kind">): { label: string; unit: string } {
  const [, label = header, unit = ""] = /^(.*?)(?: \(([^()]*)\))?$/.exec(header) ?? [];
  // A time is shown in the viewer's zone, and a percentage has its unit.
  return { label, unit: kind === "time" || kind === "percent" ? "" : unit };
}

export function isFigure({ kind }: Pick<AnswerColumn, "kind">): boolean {
  return kind !== "text" && kind !== "time" && kind !== "plain";
}

/** Amounts below this are shown to the cent, larger ones with a suffix. */
const EXACT_BELOW_DIGITS = 7;

/** Formats an amount of money or goods: 12,345.60, 1.23B. */
export function formatSum(text: string): string | null {
  const amount = parseDecimal(text);
  if (amount === null) return null;
  const is_large = amount.digits.toString().length - amount.scale > EXACT_BELOW_DIGITS;
  return is_large ? formatAmount(text) : formatDecimal(roundTo(amount, 2));
}

interface ValueProps {
  column: Pick<AnswerColumn, "header" | "kind">;
  value: string | null | undefined;
  /** Why a value is missing. */
  why?: string;
  with_unit?: boolean;
}

/** One value of an answer, formatted by its column's kind. */
export function Value({ column, value, why = "no value", with_unit = false }: ValueProps) {
  if (value === null || value === undefined) return <Missing why={why} />;
  const { kind } = column;
  if (kind === "time") return <Moment at={value} with_zone={with_unit} />;
  if (kind === "percent") return <Change percent={Number(value)} why={why} />;
  if (kind === "text" || kind === "plain") return <>{value}</>;
  const text = textOf(kind, value);
  if (text === null) return <Missing why={`not a number: ${value}`} />;
  const { unit } = labelOf(column);
  return (
    <span class="figure" title={kind === "figure" ? value : `${formatExact(value)} ${unit}`.trim()}>
      {text}
      {with_unit && unit !== "" ? <span class="unit"> {unit}</span> : null}
    </span>
  );
}

function textOf(kind: AnswerColumn["kind"], value: string): string | null {
  switch (kind) {
    case "price":
      return formatPrice(value);
    case "amount":
      return formatSum(value);
    case "count":
      return formatCount(Number(value));
    case "figure":
      return formatFigure(Number(value));
    default:
      return formatExact(value);
  }
}
