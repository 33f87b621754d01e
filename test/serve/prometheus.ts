import assert from "node:assert/strict";

export interface Family {
  type: string;
  help: string;
  samples: { name: string; labels: Record<string, string>; value: number }[];
}

const LABELS = /(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*/;
const VALUE = /[+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)|NaN/;
const SAMPLE = new RegExp(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\\{(${LABELS.source})\\})? (${VALUE.source})$`, "i");

/**
 * Parses Prometheus' text format 0.0.4 strictly: every sample follows its family's HELP and TYPE, and no series
 * repeats.
 */
export function parsePrometheus(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  const series = new Set<string>();
  let current: [name: string, family: Family] | null = null;
  assert.ok(text.endsWith("\n"), "the last line ends");
  for (const line of text.slice(0, -1).split("\n").filter(Boolean)) {
    const help = /^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line);
    const type = /^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram)$/.exec(line);
    const sample = SAMPLE.exec(line);
    if (help) {
      assert.ok(!families.has(help[1]!), `${help[1]} is one family`);
      current = [help[1]!, { type: "", help: help[2]!, samples: [] }];
      families.set(...current);
    } else if (type) {
      assert.equal(type[1], current?.[0], line);
      current![1].type = type[2]!;
    } else {
      assert.ok(sample, `a sample: ${line}`);
      const base = sample[1]!.replace(/_(bucket|sum|count)$/, "");
      assert.ok(
        current !== null && (sample[1] === current[0] || (current[1].type === "histogram" && base === current[0])),
        `${line} follows the header of its family`,
      );
      assert.ok(!series.has(`${sample[1]}{${sample[2] ?? ""}}`), `${line} is there once`);
      series.add(`${sample[1]}{${sample[2] ?? ""}}`);
      const labels = Object.fromEntries(
        [...(sample[2] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, name, value]) => [
          name!,
          value!.replace(/\\(.)/g, (_, c: string) => (c === "n" ? "\n" : c)),
        ]),
      );
      current[1].samples.push({ name: sample[1]!, labels, value: Number(sample[3]!.replace("Inf", "Infinity")) });
    }
  }
  for (const [name, family] of families) checkFamily(name, family);
  return families;
}

function checkFamily(name: string, { type, samples }: Family): void {
  assert.notEqual(type, "", name);
  if (type === "counter") assert.match(name, /_total$/);
  if (type !== "histogram") return;
  const groups = Map.groupBy(samples, ({ labels: { le: _bound, ...rest } }) => JSON.stringify(rest));
  for (const [labels, own] of groups) {
    const buckets = own
      .filter((sample) => sample.name === `${name}_bucket`)
      .map(({ labels: { le }, value }) => [le === "+Inf" ? Infinity : Number(le), value] as const);
    assert.deepEqual(
      buckets,
      buckets.toSorted((a, b) => a[0] - b[0] || a[1] - b[1]),
      `${name}${labels}: bounds and counts grow`,
    );
    assert.deepEqual(
      buckets.map(([, count]) => count),
      buckets.map(([, count]) => count).toSorted((a, b) => a - b),
    );
    assert.deepEqual(buckets.at(-1), [Infinity, own.find((sample) => sample.name === `${name}_count`)?.value]);
  }
}
