import { uniform } from "../simulated/random.ts";

/** The shop's slowly changing data. A product or customer is a function of the seed and a time. */

export const STORES = ["berlin", "chicago", "lisbon", "london", "madrid", "oslo", "paris", "tokyo"] as const;
export const CURRENCY = "USD";
export const PRODUCTS = 200;
export const CUSTOMERS = 2_000;

const HOUR_MS = 3_600_000;

const CATEGORIES = {
  office: ["Calendar", "Desk Lamp", "Notebook", "Pen"],
  garden: ["Hose", "Lantern", "Shears", "Watering Can"],
  home: ["Blanket", "Clock", "Lamp", "Vase"],
  kitchen: ["Kettle", "Mug", "Pan", "Toaster"],
  sport: ["Ball", "Bottle", "Mat", "Racket"],
} as const;
const CATEGORY_NAMES = Object.keys(CATEGORIES) as (keyof typeof CATEGORIES)[];
const STYLES = ["Classic", "Compact", "Eco", "Large", "Light", "Nordic", "Original", "Travel", "Urban", "Vintage"];

const FIRST_NAMES = [
  "Ada",
  "Björn",
  "Chloé",
  "Diego",
  "Emre",
  "Fatima",
  "Grace",
  "Hana",
  "Ivan",
  "João",
  "Kofi",
  "Lena",
];
const LAST_NAMES = [
  "Adeyemi",
  "Brown",
  "Costa",
  "Dubois",
  "Ek",
  "Fischer",
  "García",
  "Haddad",
  "Ito",
  "Jansen",
  "O'Neill",
];
const SEGMENTS = ["consumer", "business", "student", "loyal"] as const;
const CITIES = [
  ["Berlin", "DE"],
  ["Chicago", "US"],
  ["Lagos", "NG"],
  ["Lisbon", "PT"],
  ["London", "GB"],
  ["Madrid", "ES"],
  ["Oslo", "NO"],
  ["Paris", "FR"],
  ["São Paulo", "BR"],
  ["Tokyo", "JP"],
] as const;

const STREAM = {
  category: 101,
  noun: 102,
  style: 103,
  price: 104,
  product_pace: 105,
  first_name: 106,
  last_name: 107,
  city: 108,
  segment: 109,
  city_pace: 110,
  segment_pace: 111,
} as const;

export interface Product {
  product_id: string;
  name: string;
  category: string;
  price_cents: number;
}

export interface Customer {
  id: string;
  first_name: string;
  last_name: string;
  email: string;
  segment: string;
  city: string;
  country: string;
}

/** The product at a time. Its price changes every few hours to days, and every third change also renames it. */
export function productAt(seed: number, product: number, at_ms: number): Product {
  const version = versionAt(seed, STREAM.product_pace, product, at_ms, { min_h: 2, max_h: 72 });
  const category = pick(CATEGORY_NAMES, uniform(seed, STREAM.category, product));
  const noun = pick(CATEGORIES[category], uniform(seed, STREAM.noun, product));
  const style = pick(STYLES, uniform(seed, STREAM.style, product, Math.floor(version / 3)));
  const base_cents = 300 + Math.floor(uniform(seed, STREAM.price, product) ** 3 * 20_000);
  const change = 0.85 + 0.3 * uniform(seed, STREAM.price, product, version + 1);
  return {
    product_id: `prd_${String(product + 1).padStart(3, "0")}`,
    name: `${style} ${noun}`,
    category,
    price_cents: Math.round(base_cents * change),
  };
}

/** The customer at a time. Some move to another city, and change their segment, every few days to weeks. */
export function customerAt(seed: number, customer: number, at_ms: number): Customer {
  const move = versionAt(seed, STREAM.city_pace, customer, at_ms, { min_h: 12, max_h: 1_000 });
  const change = versionAt(seed, STREAM.segment_pace, customer, at_ms, { min_h: 24, max_h: 2_000 });
  const [city, country] = pick(CITIES, uniform(seed, STREAM.city, customer, move));
  const id = String(customer + 1).padStart(5, "0");
  return {
    id: `cus_${id}`,
    first_name: pick(FIRST_NAMES, uniform(seed, STREAM.first_name, customer)),
    last_name: pick(LAST_NAMES, uniform(seed, STREAM.last_name, customer)),
    email: `customer${id}@example.com`,
    segment: pick(SEGMENTS, uniform(seed, STREAM.segment, customer, change)),
    city,
    country,
  };
}

/** The number of changes until a time. Each subject has an interval and a phase, so that subjects change one by one. */
function versionAt(
  seed: number,
  stream: number,
  subject: number,
  at_ms: number,
  { min_h, max_h }: { min_h: number; max_h: number },
): number {
  const interval_ms = Math.round((min_h + (max_h - min_h) * uniform(seed, stream, subject, 0)) * HOUR_MS);
  const phase_ms = Math.round(uniform(seed, stream, subject, 1) * interval_ms);
  return Math.floor((at_ms + phase_ms) / interval_ms);
}

/** `share` is in [0, 1). */
export function pick<T>(list: readonly T[], share: number): T {
  return list[Math.floor(share * list.length)] as T;
}

/** A number below `count`, where n is drawn about 1 / (n + 1) as often as 0. */
export function zipf(count: number, share: number): number {
  return Math.min(count - 1, Math.floor(Math.exp(share * Math.log(count + 1))) - 1);
}
