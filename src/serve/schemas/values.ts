import { z } from "@hono/zod-openapi";

/** Types shared by all responses. */

/** ISO 8601 in UTC, such as 2026-03-14T02:10:00.123456Z. */
export const Time = z.iso
  .datetime({ offset: false })
  .openapi({ description: "ISO 8601, UTC", example: "2026-03-14T02:10:00.123Z" });

/** A decimal as a string, without an exponent, so that no digit is lost. */
export const Decimal = z
  .string()
  .regex(/^-?\d+(\.\d+)?$/)
  .openapi({ description: "A decimal number as a string, so that no digit is lost", example: "104235.10" });

export const Count = z.int().min(0);

export const Layer = z.enum(["log", "bronze", "silver", "gold", "live"]);

/** One page of a list: `next` is the cursor of the next page, null on the last. */
export function pageOf<T extends z.ZodType>(item: T) {
  return z.object({ items: z.array(item), next: z.string().nullable() });
}

export const PageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(1000).default(100).openapi({ description: "Maximum number of items" }),
  cursor: z.string().max(2_000).optional().openapi({ description: "`next` of the previous page" }),
});

/** Problem details (RFC 9457). `code` is stable, for programs; `next_step` is for people. */
export const Problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string(),
    next_step: z.string(),
    /** Position of a SQL error in the query, 0-based in UTF-16 units; SQL console only. */
    position: z.int().optional(),
  })
  .openapi("Problem");

export const Snapshot = z
  .object({ table: z.string(), snapshot_id: z.string(), committed_at: Time })
  .openapi("TableSnapshot");

export type Problem = z.infer<typeof Problem>;
export type TableSnapshot = z.infer<typeof Snapshot>;
export type Layer = z.infer<typeof Layer>;
/** A page of any list. */
export interface Page<T> {
  items: T[];
  next: string | null;
}
