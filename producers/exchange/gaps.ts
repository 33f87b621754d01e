import { hasPassed } from "../../src/base/pacing.ts";
import type { Gap } from "../../src/producer/producer.ts";
import type { IdRange, TradeReference } from "./protocol.ts";

export interface GapLimits {
  /** Maximum trades of a gap that are requested; the others are marked lost. */
  max_gap: number;
  /**
   * A number farther from the newest than this is not a gap: the source restarted its numbering, or the message was
   * invalid.
   */
  max_jump: number;
  /** Maximum open gaps; trades of further gaps are marked lost. */
  max_open: number;
  /** Maximum remembered finished gaps, newest first. */
  max_recent: number;
  /** Maximum lost gaps remembered across a restart, the newest. */
  max_saved: number;
  /** Missing trades may be out of order; they count as a gap after this time. */
  settle_ms: number;
}

/** A range of missing numbers. A suspicion has not been reported yet. */
interface OpenGap extends IdRange {
  product: string;
  found_at_us: number;
  is_suspicion: boolean;
  /** The source's cursor for the trade before the gap (see TradeReference). */
  cursor: string | null;
  /** Missing numbers, ascending. */
  missing: IdRange[];
}

/** State stored with the records. */
export interface SavedBook {
  /** The newest trade by product: its number, and its cursor where there is one. */
  products: Record<string, [id: number, cursor?: string]>;
  open: { product: string; found_at_us: number; cursor: string | null; missing: IdRange[] }[];
  lost: Gap[];
  lost_count: number;
  filled_count: number;
}

/**
 * Tracks received trades by the source's numbers. Deterministic: its state depends only on the sequence of calls, so
 * the state stored with the records shows after a restart which trades are missing.
 */
export class GapBook {
  readonly #limits: GapLimits;
  readonly #newest = new Map<string, { id: number; cursor: string | null }>();
  #open: OpenGap[] = [];
  #recent: Gap[] = [];
  #lost_at_once: Gap[] = [];
  #counted_anew: { product: string; newest_id: number; id: number }[] = [];
  #lost_count = 0;
  #filled_count = 0;

  /** Drops products that are not configured any more: their trades are not missing. */
  constructor(limits: GapLimits, saved: SavedBook | null, products: ReadonlySet<string>) {
    this.#limits = limits;
    if (saved === null) return;
    for (const [product, [id, cursor = null]] of Object.entries(saved.products)) {
      if (products.has(product)) this.#newest.set(product, { id, cursor });
    }
    for (const { product, found_at_us, cursor, missing } of saved.open) {
      if (!products.has(product)) continue;
      for (const range of missing)
        this.#open.push({ ...range, product, found_at_us, cursor, is_suspicion: false, missing: [{ ...range }] });
    }
    this.#recent = saved.lost;
    this.#lost_count = saved.lost_count;
    this.#filled_count = saved.filled_count;
  }

  /** The first trade of a product starts its numbering: earlier trades are not missing. */
  saw({ product, id, cursor }: TradeReference, at_us: number): void {
    const newest = this.#newest.get(product);
    if (newest !== undefined && Math.abs(id - newest.id) > this.#limits.max_jump) {
      this.#counted_anew.push({ product, newest_id: newest.id, id });
      this.#newest.set(product, { id, cursor });
      return;
    }
    if (newest !== undefined && id <= newest.id)
      return void (this.#came(product, id, () => true) || this.#cameAfterAll(product, id));
    if (newest !== undefined && id > newest.id + 1)
      this.#suspect(product, { first_id: newest.id + 1, last_id: id - 1 }, newest.cursor, at_us);
    this.#newest.set(product, { id, cursor });
  }

  /** Records that the source has published this trade and all before it. */
  announced(product: string, last_id: number, at_us: number): void {
    const newest = this.#newest.get(product);
    if (newest !== undefined && (last_id <= newest.id || last_id - newest.id > this.#limits.max_jump)) return;
    if (newest !== undefined) this.#suspect(product, { first_id: newest.id + 1, last_id }, newest.cursor, at_us);
    this.#newest.set(product, { id: last_id, cursor: newest?.cursor ?? null });
  }

  /**
   * Records a trade from REST. True if it was missing or lost. A suspicion remains one, since the trade may be out of
   * order.
   */
  fetched(product: string, id: number): boolean {
    return this.#came(product, id, (gap) => !gap.is_suspicion) || this.#cameAfterAll(product, id);
  }

  /** The newest trade known of a product, or null before the first. */
  newest(product: string): { id: number; cursor: string | null } | null {
    return this.#newest.get(product) ?? null;
  }

  /** Turns unresolved suspicions into gaps, one per contiguous range, and returns them. */
  settled(now_us: number): Gap[] {
    const due = this.#open.filter(
      (gap) => gap.is_suspicion && hasPassed(now_us - gap.found_at_us, this.#limits.settle_ms),
    );
    const found = due.flatMap((gap) =>
      gap.missing.map((range): OpenGap => ({ ...gap, ...range, is_suspicion: false, missing: [{ ...range }] })),
    );
    this.#open = [...this.#open.filter((gap) => !due.includes(gap)), ...found];
    return found.map(asGap);
  }

  /** When the next suspicion becomes a gap; Infinity if there is none. */
  nextSettling_us(): number {
    return Math.min(...this.#open.map((gap) => (gap.is_suspicion ? this.#settlesAt(gap) : Infinity)));
  }

  /** Products with gaps, each with its first missing trades; at most one page. */
  toAsk(page_size: number): (IdRange & { product: string; cursor: string | null })[] {
    const by_product = new Map<string, IdRange & { product: string; cursor: string | null }>();
    for (const { product, missing, cursor, is_suspicion } of this.#open) {
      const [first] = missing;
      const asked = by_product.get(product);
      if (is_suspicion || first === undefined || (asked !== undefined && asked.first_id <= first.first_id)) continue;
      by_product.set(product, { product, cursor, first_id: first.first_id, last_id: first.last_id });
    }
    for (const asked of by_product.values()) {
      const last_id = Math.max(
        ...this.#open.flatMap(({ product, missing, is_suspicion }) =>
          product === asked.product && !is_suspicion ? missing.map((range) => range.last_id) : [],
        ),
      );
      asked.last_id = Math.min(last_id, asked.first_id + page_size - 1);
    }
    return [...by_product.values()];
  }

  /** Number of missing trades, without suspicions. */
  missingWithin(product: string, range: IdRange): number {
    const inside = this.#open
      .filter((gap) => gap.product === product && !gap.is_suspicion)
      .flatMap(({ missing }) => missing.flatMap((part) => common(part, range)));
    return count(inside);
  }

  /** Marks trades as lost. Returns how many of them were missing. The remaining parts of a gap become separate gaps. */
  lose(product: string, range: IdRange, reason: string): number {
    let lost_count = 0;
    for (const gap of this.#open.filter((open) => open.product === product && !open.is_suspicion)) {
      const lost = gap.missing.flatMap((part) => common(part, range));
      if (lost.length === 0) continue;
      lost_count += count(lost);
      const { first_id, last_id, found_at_us } = gap;
      const left = lost.reduce<IdRange[]>(
        (parts, part) => parts.flatMap((whole) => without(whole, part)),
        [{ first_id, last_id }],
      );
      const parts = left.map((part): OpenGap => ({
        ...gap,
        ...part,
        missing: gap.missing.flatMap((missing) => common(missing, part)),
      }));
      this.#open = this.#open.flatMap((open) => (open === gap ? parts : [open]));
      for (const part of lost) this.#remember({ ...part, product, found_at_us, state: "lost", reason });
      for (const part of parts) this.#closeIfDone(part);
    }
    this.#lost_count += lost_count;
    return lost_count;
  }

  counts(): { open: number; filled: number; lost: number } {
    const open = count(this.#open.filter(({ is_suspicion }) => !is_suspicion).flatMap(({ missing }) => missing));
    return { open, filled: this.#filled_count, lost: this.#lost_count };
  }

  /** Gaps, open ones first, then finished ones; each group newest first. */
  gaps(): Gap[] {
    const open = this.#open.filter(({ is_suspicion }) => !is_suspicion).map(asGap);
    return [...open.toReversed(), ...this.#recent].slice(0, this.#limits.max_recent);
  }

  save(): SavedBook {
    const products = [...this.#newest].map(
      ([product, { id, cursor }]) => [product, cursor === null ? [id] : [id, cursor]] as const,
    );
    return {
      products: Object.fromEntries(products) as SavedBook["products"],
      open: this.#open.map(({ product, found_at_us, cursor, missing }) => ({ product, found_at_us, cursor, missing })),
      lost: this.#recent.filter(({ state }) => state === "lost").slice(0, this.#limits.max_saved),
      lost_count: this.#lost_count,
      filled_count: this.#filled_count,
    };
  }

  #came(product: string, id: number, isMeant: (gap: OpenGap) => boolean): boolean {
    const isMissing = ({ missing }: OpenGap): boolean =>
      missing.some(({ first_id, last_id }) => first_id <= id && id <= last_id);
    const gap = this.#open.find((open) => open.product === product && isMissing(open) && isMeant(open));
    if (gap === undefined) return false;
    gap.missing = gap.missing.flatMap((range) => without(range, { first_id: id, last_id: id }));
    if (!gap.is_suspicion) this.#filled_count += 1;
    this.#closeIfDone(gap);
    return true;
  }

  /**
   * Whether a lost trade has now arrived, over the feed or in a page for other trades. Only remembered lost gaps are
   * checked; a second copy does not count.
   */
  #cameAfterAll(product: string, id: number): boolean {
    const one = { first_id: id, last_id: id };
    const gap = this.#recent.find(
      (recent) => recent.state === "lost" && recent.product === product && common(recent, one).length > 0,
    );
    if (gap === undefined) return false;
    const left = without(gap, one).map((range): Gap => ({ ...gap, ...range }));
    this.#recent = this.#recent
      .flatMap((recent) => (recent === gap ? left : [recent]))
      .slice(0, this.#limits.max_recent);
    this.#lost_count -= 1;
    this.#filled_count += 1;
    return true;
  }

  #suspect(product: string, range: IdRange, cursor: string | null, at_us: number): void {
    const { max_gap, max_open } = this.#limits;
    const size = count([range]);
    const is_too_many = this.#open.length >= max_open;
    const kept_size = is_too_many ? 0 : Math.min(size, max_gap);
    // Numbered cursors are requested from the end of a gap, time cursors from its beginning.
    const [kept, lost] = cursor === null ? cutFromEnd(range, kept_size) : cutFromStart(range, kept_size);
    if (kept_size < size) {
      const reason = is_too_many
        ? `more than ${max_open} gaps were open at once`
        : `at most ${max_gap} trades of a gap are requested`;
      const gap: Gap = { ...lost, product, found_at_us: at_us, state: "lost", reason };
      this.#remember(gap);
      this.#lost_at_once.push(gap);
      this.#lost_count += count([lost]);
    }
    if (kept_size === 0) return;
    this.#open.push({ ...kept, product, found_at_us: at_us, cursor, is_suspicion: true, missing: [{ ...kept }] });
  }

  /** Gaps lost on detection; each is returned once. */
  takeLostAtOnce(): Gap[] {
    return this.#lost_at_once.splice(0);
  }

  /** Products whose numbers jumped; each jump is returned once. */
  takeCountedAnew(): { product: string; newest_id: number; id: number }[] {
    return this.#counted_anew.splice(0);
  }

  #settlesAt({ found_at_us }: OpenGap): number {
    return found_at_us + this.#limits.settle_ms * 1000;
  }

  #closeIfDone(gap: OpenGap): void {
    if (gap.missing.length > 0) return;
    this.#open = this.#open.filter((open) => open !== gap);
    if (!gap.is_suspicion) this.#remember({ ...asGap(gap), state: "filled" });
  }

  #remember(gap: Gap): void {
    this.#recent = [gap, ...this.#recent].slice(0, this.#limits.max_recent);
  }
}

function asGap({ product, first_id, last_id, found_at_us }: OpenGap): Gap {
  return { product, first_id, last_id, found_at_us, state: "open", reason: null };
}

function common(a: IdRange, b: IdRange): IdRange[] {
  const first_id = Math.max(a.first_id, b.first_id);
  const last_id = Math.min(a.last_id, b.last_id);
  return first_id <= last_id ? [{ first_id, last_id }] : [];
}

function cutFromEnd({ first_id, last_id }: IdRange, kept_size: number): [kept: IdRange, lost: IdRange] {
  const kept_from = last_id - kept_size + 1;
  return [
    { first_id: kept_from, last_id },
    { first_id, last_id: kept_from - 1 },
  ];
}

function cutFromStart({ first_id, last_id }: IdRange, kept_size: number): [kept: IdRange, lost: IdRange] {
  const kept_to = first_id + kept_size - 1;
  return [
    { first_id, last_id: kept_to },
    { first_id: kept_to + 1, last_id },
  ];
}

/** The difference of two ranges. */
function without(range: IdRange, other: IdRange): IdRange[] {
  if (common(range, other).length === 0) return [range];
  const before = { first_id: range.first_id, last_id: other.first_id - 1 };
  const after = { first_id: other.last_id + 1, last_id: range.last_id };
  return [before, after].filter(({ first_id, last_id }) => first_id <= last_id);
}

function count(ranges: readonly IdRange[]): number {
  return ranges.reduce((sum, { first_id, last_id }) => sum + last_id - first_id + 1, 0);
}
