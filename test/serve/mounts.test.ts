import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { family, Metrics, withLabels } from "../../src/serve/metrics.ts";
import { Mounts, RESERVED_NAMES, type Service } from "../../src/serve/mounts.ts";
import { parsePrometheus } from "./prometheus.ts";

const shop = { name: "shop", title: "Shop" };
const market = { name: "market", title: "Market" };
const service = {} as Service;

test("a request is routed to the pipeline that its path names, else to the first one", () => {
  const mounts = new Mounts([market, shop]);
  const cases: [url: string, name: string, rest: string][] = [
    ["/", "market", "/"],
    ["/api/status?at=/shop/", "market", "/api/status?at=/shop/"],
    ["/shop", "shop", "/"],
    ["/shop?focus=search", "shop", "/?focus=search"],
    ["/shop/", "shop", "/"],
    ["/shop/api/status?a=b", "shop", "/api/status?a=b"],
    ["/shop//api", "shop", "//api"],
    ["/shopping", "market", "/shopping"],
    ["/Shop", "market", "/Shop"],
    ["/%73hop", "market", "/%73hop"],
    ["//shop/api", "market", "//shop/api"],
    ["/market/api/status", "market", "/market/api/status"],
  ];
  for (const [url, name, rest] of cases) {
    const found = mounts.find(url);
    assert.deepEqual([url, found.mount.name, found.url], [url, name, rest]);
  }
});

test("while the first pipeline starts, another one answers the paths that all share, and only those", () => {
  const mounts = new Mounts([market, shop]);
  mounts.of("shop").service = service;
  for (const path of ["/readyz", "/metrics", "/healthz", "/login", "/assets/main-1.js"])
    assert.equal(mounts.find(path).mount.name, "shop", path);
  for (const path of ["/", "/api/status", "/readyz/", "/assets/a/b"])
    assert.equal(mounts.find(path).mount.name, "market", path);
});

test("a pipeline named like a path of the server is rejected beside other pipelines, and accepted alone", () => {
  const lake = { name: "lake", title: "Lake" };
  assert.equal(new Mounts([lake]).are_several, false);
  for (const pipelines of [
    [market, lake],
    [lake, market],
  ])
    assert.throws(() => new Mounts(pipelines), { code: "PIPELINE_NAME_RESERVED" });
});

test("reserved names are the first segments of server routes, dashboard pages and catalog paths", () => {
  const sources = globSync(["src/serve/**/*.ts", "dashboard/pages/registry.ts"]).map((file) =>
    readFileSync(file, "utf8"),
  );
  const paths = sources.flatMap((text) => [
    ...text.matchAll(/(?:path: |app\.(?:get|post|all|use)\(|_PATH = )"\/([a-z-]+)/g),
  ]);
  const catalog = readFileSync("src/catalog/rest/router.ts", "utf8");
  const segments = /FIRST_SEGMENTS = new Set\(\[([^\]]+)\]/.exec(catalog)?.[1]?.match(/\w+/g) ?? [];
  const taken = new Set([...paths.map(([, name = ""]) => name), ...segments, "assets", "coinlake"]);
  assert.deepEqual([...RESERVED_NAMES].sort(), [...taken].sort());
});

test("series of several pipelines have a pipeline label and share one metric family", async () => {
  const metrics = new Metrics();
  const both = ["market", "shop"].map((pipeline) => metrics.labelled({ pipeline }));
  for (const one of both) {
    one.count("requests_total", "Requests.", { route: "/" });
    one.observe("took_seconds", "How long.", 0.2);
  }
  both[1]?.count("requests_total", "Requests.", { route: "/" });
  const families = both.flatMap(({ labels }) =>
    withLabels([family("rows", "Rows.", "gauge", [{ labels: { table: "a" }, value: 1 }])], labels),
  );
  const read = parsePrometheus(
    await metrics.text([...families, family("process_bytes", "Memory.", "gauge", [{ value: 5 }])]),
  );
  const valuesOf = (name: string) =>
    read.get(name)?.samples.map(({ labels, value }) => `${labels["pipeline"] ?? "process"} ${value}`);
  assert.deepEqual(valuesOf("rows"), ["market 1", "shop 1"]);
  assert.deepEqual(valuesOf("requests_total"), ["market 1", "shop 2"]);
  assert.deepEqual(valuesOf("process_bytes"), ["process 5"]);
  assert.equal(read.get("took_seconds")?.samples.filter(({ name }) => name === "took_seconds_count").length, 2);
});
