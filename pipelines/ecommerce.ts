import { openFiles } from "../producers/files.ts";
import { simulatedOrders } from "../producers/simulated-orders.ts";
import type { Pipeline } from "../src/pipeline/definition.ts";
import { seedOf } from "./seed.ts";
import { simulatedHistory_ms } from "./simulated-history.ts";
import { charts } from "./ecommerce/charts.ts";
import { columns } from "./ecommerce/columns.ts";
import { questions } from "./ecommerce/questions.ts";
import { reasons } from "./ecommerce/reasons.ts";
import { default_rules } from "./ecommerce/rules.ts";
import { projectVar } from "./project-var.ts";
import { storeNames } from "./ecommerce/store-names.ts";

const HOUR_MS = 3_600_000;
const MIB = 1024 * 1024;

const ELEMENT_COLUMNS = ["log_topic", "log_partition", "log_offset", "element_index"] as const;

/** The orders pipeline: files of order events, the orders' current states, sales per minute and two dimensions. */
export const ecommerce: Pipeline = {
  name: "ecommerce",
  lake_prefix: "ecommerce",
  title: "E-commerce orders",
  topic: { name: "ecommerce.orders.raw", partitions: 1, retention_ms: HOUR_MS },
  bronze: {
    table: "bronze.orders_bronze",
    commit: { interval_ms: 30_000, due_records: 50_000, due_size_bytes: 8 * MIB, first_interval_ms: 2_000 },
    commit_size_bytes: 64 * MIB,
  },
  transform: {
    project: "dbt_ecommerce",
    increment: { interval_ms: 90_000, due_records: 50_000, due_size_bytes: 8 * MIB, first_interval_ms: 10_000 },
    increment_max_share: 0.1,
    test_interval_ms: 10 * 60_000,
    test_max_share: 0.02,
  },
  maintenance: {
    z_order: { "gold.fact_orders": ["placed_at", "product_id"] },
  },
  producers: {
    simulated: {
      description: "simulated stores whose orders arrive as files, with realistic errors; SEED selects another set",
      argument: { name: "SEED", is_required: false },
      create: async ({ argument, is_until_drained }) => [
        simulatedOrders({ seed: seedOf(argument), history_ms: simulatedHistory_ms(), is_until_drained }),
      ],
    },
    files: {
      description: "JSON files of order events in a folder, or under s3://BUCKET/PREFIX",
      argument: { name: "FOLDER", is_required: true },
      create: async ({ argument, is_until_drained }) => [
        await openFiles({ location: argument ?? "", source: "orders", is_until_drained }),
      ],
    },
  },
  default_source: "simulated",
  fallback_source: "simulated",
  reconciliation: {
    accepted: "silver.order_events",
    duplicates: "silver.order_duplicates",
    conflicting: "is_conflicting",
    compared: ["store", "order_id", "event", "status", "total", "placed_at", "occurred_at"],
    rejected: "silver.orders_rejected",
    rejected_subject: "order_id",
    reasons,
    rejected_partition: "ingestion_date",
    checks: [
      {
        claim: "every order with an accepted event has one state",
        left: "select count(*) from (select distinct store, order_id, placed_at from silver.order_events)",
        right: "select count(*) from silver.orders_silver",
      },
      {
        claim: "minutes hold every order, and its total",
        left: `select count(*) + sum((total * 10000)::hugeint) from silver.orders_silver`,
        right: `select sum(orders + cancelled_orders) + sum(((sales + cancelled_sales) * 10000)::hugeint)
          from gold.sales_per_minute`,
      },
      {
        claim: "lines with discounts and shipping add up to the orders' totals",
        left: "select sum((total * 10000)::hugeint) from silver.orders_silver",
        right: "select sum(((amount - order_discount + order_shipping) * 10000)::hugeint) from gold.fact_orders",
      },
      {
        claim: "every customer with an accepted event has one current version",
        left: "select count(distinct customer_id) from silver.order_events",
        right: "select count(*) from gold.dim_customer where is_current",
      },
    ],
    tables: {
      "silver.order_events": { key: ELEMENT_COLUMNS, is_counted_by_element: true },
      "silver.order_duplicates": { key: ELEMENT_COLUMNS, is_counted_by_element: true },
      "silver.orders_rejected": { key: ELEMENT_COLUMNS, is_counted_by_element: true },
      "silver.orders_silver": { key: ["store", "order_id", "placed_at"] },
      "gold.fact_orders": { key: ["store", "order_id", "placed_at", "line_number"] },
      "gold.sales_per_minute": { key: ["store", "minute_at"] },
      "gold.dim_customer": { key: ["customer_key"] },
      "gold.dim_product": { key: ["product_id"] },
    },
    references: [
      { table: "gold.fact_orders", column: "customer_id", to: "gold.dim_customer", to_column: "customer_id" },
      { table: "gold.fact_orders", column: "product_id", to: "gold.dim_product", to_column: "product_id" },
    ],
  },
  live: {
    elements: "stg_orders__events",
    is_candidate: "reason is null",
    has_timestamp_identity: "false",
    verdicts: ["order_events", "order_duplicates"],
    by_minute: [],
    columns,
  },
  subjects: storeNames,
  alerts: { default_rules, lateness_s: projectVar("dbt_ecommerce", "late_after_s") },
  latest_event: (table) => `select max(occurred_at)::varchar from ${table("silver.order_events")}`,
  questions,
  charts,
  dashboard: {
    start_page: "overview",
    value: { noun: "order total", unit: "USD" },
    amount: { noun: "sales" },
  },
  api: [],
};
