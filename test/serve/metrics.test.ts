import assert from "node:assert/strict";
import { test } from "node:test";
import { formatFamily, Metrics } from "../../src/serve/metrics.ts";
import { parsePrometheus } from "./prometheus.ts";

test("counted and observed figures come out in Prometheus' format, whatever their labels hold", () => {
  const metrics = new Metrics();
  const odd = 'a "b" \\ c\nd';
  metrics.count("requests_total", "Requests.\nAll of them.", { route: odd });
  metrics.count("requests_total", "Requests.\nAll of them.", { route: odd });
  metrics.count("requests_total", "Requests.\nAll of them.", { route: "/" });
  for (const seconds of [0.0001, 0.001, 0.02, 3, 1_000]) metrics.observe("took_seconds", "How long.", seconds, { route: odd });
  metrics.observe("plain_seconds", "How long.", 0.3);
  const families = parsePrometheus(metrics.text() + formatFamily("up", "Whether.", "gauge", [{ value: Infinity }, { labels: { a: "b" }, value: Number.NaN }]));
  assert.deepEqual(families.get("requests_total")?.samples.map(({ labels, value }) => [labels["route"], value]), [[odd, 2], ["/", 1]]);
  const took = families.get("took_seconds")?.samples ?? [];
  assert.equal(took.find(({ name }) => name === "took_seconds_count")?.value, 5);
  assert.equal(took.find(({ labels }) => labels["le"] === "0.001")?.value, 2);
  assert.equal(took.find(({ labels }) => labels["le"] === "30")?.value, 4);
});

test("a family without a sample is left out", () => {
  assert.equal(formatFamily("nothing", "None.", "gauge", []), "");
});
