import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { openOrCreateLake } from "../../src/lake/lake.ts";
import { claimLake } from "../../src/lake/ownership.ts";
import { writeKnownMarket } from "../crash/known-market.ts";
import { coinlake, startCoinlake, temporaryFolder } from "../support/coinlake.ts";
import { eventually } from "../support/eventually.ts";

const BOTH = ["--pipeline", "crypto,ecommerce"];
const PORTS = ["--port", "0", "--catalog-port", "0"];

const untilDrained = (data: string, ...options: string[]): string[] => {
  return ["start", ...BOTH, "--until-drained", "--catalog-port", "0", "--data", data, ...options];
};

describe("a start of both pipelines with --until-drained", () => {
  const folder = temporaryFolder();
  after(() => folder.remove());

  test("gives each pipeline its source, ends once both are in gold, and both verify", async () => {
    const market = await writeKnownMarket(folder.path, { seed: 5, records: 200 });
    const inbox = join(folder.path, "inbox");
    mkdirSync(inbox);
    writeFileSync(join(inbox, "orders.json"), JSON.stringify([orderCreated("e1", "o1"), orderCreated("e2", "o2")]));
    const data = join(folder.path, "data");
    const sources = ["--source", `replay:${market.recording}`, "--source", `files:${inbox}`];
    const drained = await coinlake(untilDrained(data, ...sources, "--speed", "max"));
    assert.equal(drained.code, 0, drained.stderr);
    for (const [name, lake] of [
      ["crypto", "replay-market-5"],
      ["ecommerce", "ecommerce-live-inbox"],
    ] as const) {
      assert.match(drained.stderr, new RegExp(`^${name} +Drained.*verify --lake ${lake}$`, "m"));
      const verified = await coinlake(["verify", "--json", "--data", data, "--lake", lake]);
      assert.equal(verified.code, 0, verified.stdout + verified.stderr);
      const { accepted } = JSON.parse(verified.stdout).figures;
      assert.equal(accepted, name === "crypto" ? market.accepted : 2);
    }
  });

  test("stops the other pipeline cleanly when one cannot continue, and fails with that one's error", async () => {
    const inbox = join(folder.path, "vanishing");
    mkdirSync(inbox);
    // A file that may still be written is waited for.
    writeFileSync(join(inbox, "orders.json"), '[{"event":');
    const market = await writeKnownMarket(folder.path, { seed: 6, records: 200 });
    const data = join(folder.path, "stopped");
    // In the recorded time, which takes far longer than the test.
    const sources = ["--source", `replay:${market.recording}`, "--source", `files:${inbox}`, "--speed", "1"];
    const { child, finished } = startCoinlake(untilDrained(data, ...sources));
    let said = "";
    child.stderr?.on("data", (text: string) => (said += text));
    await eventually(() => /^crypto .*gold updated/m.test(said), { what: () => `crypto's first increment: ${said}` });
    rmSync(inbox, { recursive: true });
    const { code, stderr } = await finished;
    assert.equal(code, 1, stderr);
    assert.match(stderr, /^warning ecommerce +this pipeline cannot continue; the others stop cleanly$/m);
    assert.match(stderr, /^crypto +Stopped cleanly\./m);
    assert.match(stderr, /^error .*\[FOLDER_NOT_FOUND\]/m);
    const verified = await coinlake(["verify", "--json", "--data", data, "--lake", "replay-market-6"]);
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
  });
});

describe("a rejected start of both pipelines", () => {
  const folder = temporaryFolder();
  after(() => folder.remove());
  const startIn = (data: string, ...args: string[]) => coinlake(["start", "--data", data, ...PORTS, ...args]);

  const USES: [name: string, args: string[], message: RegExp][] = [
    ["unknown", ["--pipeline", "crypto,shop"], /Allowed choices are crypto, ecommerce/],
    ["twice", ["--pipeline", "crypto,crypto"], /each pipeline once/],
    ["empty", ["--pipeline", "crypto,"], /Allowed choices are crypto, ecommerce/],
    ["source", [...BOTH, "--source", "simulatd"], /SOURCE_NOT_FOUND[^]*of crypto: [^]*of ecommerce: /],
    ["cluster", [...BOTH, "--profile", "cluster"], /--profile cluster/],
    ["warehouse", [...BOTH, "--warehouse", "s3://bucket/lake"], /--warehouse/],
    ["token", [...BOTH, "--source", "simulated", "--host", "0.0.0.0"], /TOKEN_REQUIRED_FOR_HOST/],
  ];
  for (const [name, args, message] of USES) {
    test(`is a usage error and leaves no folder: ${name}`, async () => {
      const data = join(folder.path, name);
      const { code, stderr } = await startIn(data, ...args);
      assert.equal(code, 2, stderr);
      assert.match(stderr, message);
      assert.ok(!existsSync(data));
    });
  }

  test("names the pipeline whose lake another process writes, and leaves no folder of the other pipeline", async () => {
    const data = join(folder.path, "in-use");
    const lake = openOrCreateLake(data, { name: "ecommerce-simulated", kind: "simulated", pipeline: "ecommerce" });
    const claim = claimLake(lake, "start");
    try {
      const { code, stderr } = await startIn(data, ...BOTH, "--source", "simulated");
      assert.equal(code, 1, stderr);
      assert.match(stderr, /^warning ecommerce +this pipeline cannot start[^]*LAKE_IN_USE/m);
      assert.deepEqual(readdirSync(data), ["ecommerce-simulated"]);
    } finally {
      claim.release();
    }
  });

  test("leaves no folder of a lake that was opened before another one failed to open", async () => {
    const data = join(folder.path, "corrupt");
    const lake = openOrCreateLake(data, { name: "ecommerce-simulated", kind: "simulated", pipeline: "ecommerce" });
    writeFileSync(lake.log_file, "no database, but long enough to be read as one: ".repeat(100));
    const { code, stderr } = await startIn(data, ...BOTH, "--source", "simulated");
    assert.equal(code, 1, stderr);
    assert.match(stderr, /ecommerce +this pipeline cannot start[^]*LOG_CORRUPT/);
    assert.deepEqual(readdirSync(data), ["ecommerce-simulated"]);
    assert.match(readFileSync(lake.log_file, "utf8"), /^no database/);
  });

  test("leaves no folder if a port is taken", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    try {
      for (const option of ["--port", "--catalog-port"]) {
        const data = join(folder.path, `taken${option}`);
        const { code, stderr } = await startIn(data, ...BOTH, "--source", "simulated", option, String(port));
        assert.equal(code, 1, stderr);
        assert.match(stderr, new RegExp(`PORT_TAKEN[^]*${option}`));
        assert.ok(!existsSync(data), option);
      }
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });
});

function orderCreated(event_id: string, id: string): object {
  const at = "2025-10-10T12:00:00.000Z";
  return {
    event: "order_created",
    event_id,
    occurred_at: at,
    order: {
      id,
      store: "berlin",
      currency: "USD",
      status: "placed",
      placed_at: at,
      customer: { id: "c1", name: "A", email: "a@example.org", segment: "new", city: "Berlin", country: "DE" },
      items: [{ product_id: "p-1", name: "Lamp", category: "home", quantity: 1, unit_price: "10.00" }],
      discount: "0.00",
      shipping: "2.00",
      total: "12.00",
    },
  };
}
