import assert from "node:assert/strict";
import { test } from "node:test";
import { buildDashboard, bundle } from "../../dashboard/build.ts";

const MAX_SCRIPT_BYTES = 300_000;
/** Maximum size of the scripts that the first page, the market, waits for. */
const MAX_FIRST_BYTES = 60_000;

test("the dashboard's scripts are under 300 kB gzipped, and those of the first page under 60 kB", async () => {
  const assets = await buildDashboard();
  const scripts = [...assets].filter(([path]) => path.endsWith(".js"));
  const sizeOf = (of: typeof scripts) => of.reduce((total, [, { gzip, body }]) => total + (gzip ?? body).length, 0);
  const later = /\/(?:sql|coin|lake|log|quality|alerts|reference)-/;
  const isChart = (body: Buffer) => body.length > 100_000;
  const first = scripts.filter(([path, { body }]) => !later.test(path) && !isChart(body));
  assert.ok(sizeOf(scripts) <= MAX_SCRIPT_BYTES, `${sizeOf(scripts)} bytes gzipped`);
  assert.ok(sizeOf(first) <= MAX_FIRST_BYTES, `${sizeOf(first)} bytes gzipped for the first page`);
});

test("each file but the HTML frames has its content's hash in its name, and no style or script is inline", async () => {
  const assets = await buildDashboard();
  const frames = ["/index.html", "/login.html"];
  for (const [path, { is_immutable }] of assets) {
    assert.equal(is_immutable, !frames.includes(path), path);
    if (is_immutable) assert.match(path, /^\/assets\/[\w-]+-[0-9A-Z]{8}\.(?:js|css|svg)$/);
  }
  for (const frame of frames) {
    const html = assets.get(frame)?.body.toString() ?? "";
    assert.doesNotMatch(html, /<style|style=|<script>|\{\{(?!note)/);
    for (const [, path] of html.matchAll(/(?:src|href)="(\/[^"]+)"/g))
      assert.ok(assets.has(path ?? "") || path?.startsWith("/api/"), path);
  }
});

test("the cached build equals a new build", async () => {
  const made = await bundle();
  const kept = await buildDashboard();
  assert.deepEqual([...kept.keys()].sort(), [...made.keys()].sort());
  for (const [path, { etag, body }] of made) {
    assert.equal(kept.get(path)?.etag, etag);
    assert.ok(body.equals(kept.get(path)?.body ?? Buffer.alloc(0)), path);
  }
});
