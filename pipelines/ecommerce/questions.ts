import type { Question, QuestionOptions } from "../../src/pipeline/definition.ts";

/**
 * The business questions of the orders pipeline. Sales are the totals of orders by the minute in which they were
 * placed, without cancelled orders. All times are UTC.
 */

const text = (value: string) => `'${value.replaceAll("'", "''")}'`;

const STORE = {
  description: "name of the store; all stores without it",
  default: null,
  is_subject: true,
} as const;

function ofStore({ values }: QuestionOptions): string {
  return values["store"] === undefined ? "true" : `store = ${text(String(values["store"]))}`;
}

const salesNow: Question = {
  number: 1,
  title: "Total sales of the last hour, and the change against the hour before",
  tile: "Sales, last hour",
  options: { store: STORE },
  parts: [
    {
      title: "",
      when_empty: "The lake has no order up to that time.",
      sql: (options) => `
        with minutes as (
          select minute_at > ${options.as_of} - interval 1 hour as is_last_hour, sales, orders
          from ${options.table("gold.sales_per_minute")}
          where minute_at > ${options.as_of} - interval 2 hour and minute_at <= ${options.as_of}
            and placed_date >= cast(${options.as_of} - interval 2 hour as date) and ${ofStore(options)}
        ),
        hours as (
          select sum(sales) filter (where is_last_hour) as sales, sum(orders) filter (where is_last_hour) as orders,
            sum(sales) filter (where not is_last_hour) as sales_before
          from minutes
        )
        select coalesce(sales, 0) as sales, coalesce(orders, 0) as orders, sales_before,
          case when sales_before > 0 then 100 * (coalesce(sales, 0) - sales_before)::double / sales_before::double end
            as change_percent,
          case when sales_before is null then 'no order in the hour before' end as reason
        from hours where sales is not null or sales_before is not null`,
      columns: [
        { name: "sales", header: "sales (USD)", kind: "amount" },
        { name: "orders", header: "orders", kind: "count" },
        { name: "sales_before", header: "an hour before (USD)", kind: "amount" },
        { name: "change_percent", header: "change (%)", kind: "percent" },
        { name: "reason", header: "not measured", kind: "text", is_optional: true },
      ],
    },
  ],
};

const bestSellers: Question = {
  number: 2,
  title: "The ten products with the highest sales today",
  tile: "Best sellers today",
  options: { store: STORE },
  parts: [
    {
      title: "order lines of the day (UTC), without cancelled orders and before discounts",
      when_empty: "No order was placed today.",
      sql: (options) => `
        select product_id, any_value(products.name) as name, any_value(products.category) as category,
          sum(lines.quantity) as quantity, sum(lines.amount) as sales
        from ${options.table("gold.fact_orders")} as lines
        left join ${options.table("gold.dim_product")} as products using (product_id)
        where placed_date = cast(${options.as_of} as date) and placed_at <= ${options.as_of}
          and not is_cancelled and ${ofStore(options)}
        group by product_id order by sales desc, product_id limit 10`,
      columns: [
        { name: "product_id", header: "product", kind: "text" },
        { name: "name", header: "name", kind: "text" },
        { name: "category", header: "category", kind: "text" },
        { name: "quantity", header: "quantity", kind: "count" },
        { name: "sales", header: "sales (USD)", kind: "amount" },
      ],
    },
  ],
};

const TWO_HOURS_MS = 2 * 3_600_000;

function salesOfMinute(options: QuestionOptions, moment: string): string {
  return `select minute_at, sum(sales) as sales, sum(orders)::bigint as orders,
      sum(cancelled_orders)::bigint as cancelled_orders
    from ${options.table("gold.sales_per_minute")}
    where minute_at = date_trunc('minute', ${moment}) and placed_date = cast(${moment} as date) and ${ofStore(options)}
    group by minute_at`;
}

const MINUTE_COLUMNS = [
  { name: "minute_at", header: "minute (UTC)", kind: "time" },
  { name: "sales", header: "sales (USD)", kind: "amount" },
  { name: "orders", header: "orders", kind: "count" },
  { name: "cancelled_orders", header: "cancelled", kind: "count" },
] as const;

const twoHoursAgo: Question = {
  number: 3,
  title: "Sales of the minute two hours ago, as they are now and as they were then",
  tile: "Sales 2 h ago",
  options: { store: STORE },
  parts: [
    {
      title: "now: with the updates and cancellations since",
      when_empty: "No order was placed in that minute.",
      sql: (options) => salesOfMinute(options, `(${options.as_of} - interval 2 hour)`),
      columns: MINUTE_COLUMNS,
    },
    {
      title: "lake time: the latest minute in the tables at that time",
      when_empty: "The lake's tables had no order at that time.",
      lake_time_before_ms: TWO_HOURS_MS,
      sql: (options) =>
        `select * from (${salesOfMinute(
          options,
          `(
          select max(minute_at) from ${options.table("gold.sales_per_minute")} where minute_at <= ${options.as_of}
        )`,
        )})`,
      columns: MINUTE_COLUMNS,
    },
  ],
};

/** DuckDB truncates `interval (0.5) hour` to zero, so fractions are written in whole seconds. */
const span = (count: string | number | undefined, unit_s: number) =>
  `interval ${Math.round(Number(count) * unit_s)} second`;

const falls: Question = {
  number: 4,
  title: "Stores whose sales fell within minutes",
  tile: "Falls > 50 % in 10 min",
  options: {
    percent: { description: "minimum fall in percent", default: 50 },
    minutes: { description: "length of the two windows that are compared, in minutes", default: 10 },
    hours: { description: "hours of history to search", default: 24 },
    store: STORE,
  },
  parts: [
    {
      title: "one row per fall: the minutes whose window sold that much less than the window before",
      when_empty: "No store's sales fell that far in that time.",
      sql: (options) => {
        const { as_of, table, values } = options;
        const window = span(values["minutes"], 60);
        const since = `(${as_of} - ${span(values["hours"], 3_600)})`;
        const first = `(${since} - 2 * ${window})`;
        return `
        with spans as (
          select store, min(minute_at) as first_at from ${table("gold.sales_per_minute")}
          where minute_at > ${first} and placed_date >= cast(${first} as date) and minute_at <= ${as_of}
            and ${ofStore(options)}
          group by store
        ),
        minutes as (
          -- Minutes without an order have no row, but their windows count.
          select spans.store, spans.first_at, clock.minute_at, coalesce(sold.sales, 0) as sales
          from spans
          cross join lateral (
            select unnest(
              generate_series(spans.first_at, date_trunc('minute', ${as_of}) - interval 1 minute, interval 1 minute)
            )
          ) as clock(minute_at)
          left join ${table("gold.sales_per_minute")} as sold
            on sold.store = spans.store and sold.minute_at = clock.minute_at
            and sold.placed_date >= cast(${first} as date)
        ),
        windows as (
          select store, first_at, minute_at,
            sum(sales) over (
              partition by store order by minute_at
              range between ${window} - interval 1 minute preceding and current row
            ) as sales,
            sum(sales) over (
              partition by store order by minute_at
              range between 2 * ${window} - interval 1 minute preceding and ${window} preceding
            ) as sales_before
          from minutes
        ),
        marked as (
          select *, coalesce(minute_at >= first_at + 2 * ${window} - interval 1 minute
            and sales_before > 0 and (sales_before - sales) * 100 >= sales_before * ${values["percent"]}, false
          ) as is_fall
          from windows where minute_at > ${since}
        ),
        episodes as (
          select *, count_if(not is_fall) over (partition by store order by minute_at) as episode from marked
        )
        select store, min(minute_at) as fell_at, max(minute_at) as until_at,
          arg_min(sales_before, minute_at) as sales_before,
          min(sales) as lowest_sales, max(100 * (sales_before - sales)::double / sales_before::double) as fall_percent
        from episodes where is_fall
        group by store, episode order by fell_at, store`;
      },
      columns: [
        { name: "store", header: "store", kind: "text" },
        { name: "fell_at", header: "first minute (UTC)", kind: "time" },
        { name: "until_at", header: "last minute (UTC)", kind: "time" },
        { name: "sales_before", header: "window before (USD)", kind: "amount" },
        { name: "lowest_sales", header: "lowest window (USD)", kind: "amount" },
        { name: "fall_percent", header: "deepest fall (%)", kind: "figure" },
      ],
    },
  ],
};

const cancellations: Question = {
  number: 5,
  title: "Cancelled orders by customer segment over 24 hours",
  tile: "Cancelled, 24 h",
  options: { store: STORE },
  parts: [
    {
      title: "segment of the customer when the order was placed",
      when_empty: "No order was placed in those 24 hours.",
      sql: (options) => `
        with orders as (
          select distinct store, order_id, placed_at, customer_id, is_cancelled
          from ${options.table("gold.fact_orders")}
          where placed_date >= cast(${options.as_of} - interval 24 hour as date)
            and placed_at > ${options.as_of} - interval 24 hour and placed_at <= ${options.as_of}
            and ${ofStore(options)}
        )
        select coalesce(customers.segment, 'unknown') as segment, count(*) as orders,
          count_if(is_cancelled) as cancelled_orders,
          100 * count_if(is_cancelled)::double / count(*) as cancelled_percent
        from orders
        left join ${options.table("gold.dim_customer")} as customers
          on orders.customer_id = customers.customer_id
          and customers.valid_from <= date_trunc('minute', orders.placed_at)
          and (customers.valid_to is null or customers.valid_to > date_trunc('minute', orders.placed_at))
        group by 1 order by cancelled_percent desc, segment`,
      columns: [
        { name: "segment", header: "segment", kind: "text" },
        { name: "orders", header: "orders", kind: "count" },
        { name: "cancelled_orders", header: "cancelled", kind: "count" },
        { name: "cancelled_percent", header: "cancelled (%)", kind: "figure" },
      ],
    },
  ],
};

export const questions: readonly Question[] = [salesNow, bestSellers, twoHoursAgo, falls, cancellations];
