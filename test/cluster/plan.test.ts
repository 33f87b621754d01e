import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join, resolve } from "node:path";
import { after, test } from "node:test";
import { cacheFolder, fetchOnce, type Cache } from "../../src/services/fetch/cache.ts";
import { parseChecksums, checkPinned } from "../../src/services/fetch/maven.ts";
import { download } from "../../src/services/fetch/python.ts";
import { launch } from "../../src/services/launch.ts";
import { childrenOf, identify } from "../../src/services/machine/process.ts";
import { findTar } from "../../src/services/machine/tar.ts";
import { findTool } from "../../src/services/machine/tool.ts";
import type { Service } from "../../src/services/service.ts";
import { SERVICES, withNeeds } from "../../src/services/registry.ts";
import { choosePorts } from "../../src/services/ports.ts";
import { openOrCreateCluster } from "../../src/services/state.ts";
import { coinlake, temporaryFolder } from "../support/coinlake.ts";

const folder = temporaryFolder();
after(() => folder.remove());

function fill(name: string, files: Record<string, string>): string {
  const path = join(folder.path, name);
  mkdirSync(path);
  for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text);
  return path;
}

const sum = (text: string) => createHash("sha256").update(text).digest("hex");

test("a download is rejected if a file is missing, unknown or different from its pin", () => {
  const pins = parseChecksums(`${sum("a")}  a.jar\n${sum("b")}  b.jar\n`);
  checkPinned(fill("whole", { "a.jar": "a", "b.jar": "b" }), pins, "repository");
  for (const [files, message] of [
    [{ "a.jar": "a" }, /b\.jar is missing/],
    [{ "a.jar": "a", "b.jar": "x" }, /b\.jar has other bytes/],
    [{ "a.jar": "a", "b.jar": "b", "c.jar": "c" }, /c\.jar was not asked for/],
  ] as const) {
    assert.throws(() => checkPinned(fill(`wrong-${message.source}`, files), pins, "repository"), {
      code: "CHECKSUM_MISMATCH",
      message,
    });
  }
});

test("a fetched folder appears whole or not at all, once for concurrent callers, and again for new pins", async () => {
  const cache: Cache = { folder: join(folder.path, "cache"), say() {}, progress: () => ({ update() {}, end() {} }) };
  const pin = join(folder.path, "pin");
  writeFileSync(pin, "1");
  const fetch = { name: "part-1", pins: [pin], tool: "tool" };
  let made = 0;
  const make = async (path: string) => void writeFileSync(join(path, "file"), String(++made));
  await assert.rejects(
    fetchOnce(cache, fetch, async (path) => {
      writeFileSync(join(path, "half"), "");
      throw new Error("cut off");
    }),
    /cut off/,
  );
  assert.deepEqual(
    readdirSync(cache.folder).filter((name) => !name.endsWith(".unfinished")),
    ["tool"],
  );
  const [one, two] = await Promise.all([fetchOnce(cache, fetch, make), fetchOnce(cache, fetch, make)]);
  assert.equal(one, two);
  assert.equal(made, 1);
  assert.deepEqual(readdirSync(one), ["file"]);
  writeFileSync(pin, "2");
  assert.notEqual(await fetchOnce(cache, fetch, make), one);
  assert.ok(existsSync(one));
});

test("the cache is where COINLAKE_CACHE says, else in the user's cache folder, never in the checkout", () => {
  assert.equal(cacheFolder({ COINLAKE_CACHE: "/somewhere" }), "/somewhere");
  assert.equal(cacheFolder({ XDG_CACHE_HOME: "/home/a/cache" }), "/home/a/cache/coinlake");
  assert.ok(!cacheFolder({}).startsWith(process.cwd()));
  assert.equal(cacheFolder({ COINLAKE_CACHE: "", XDG_CACHE_HOME: "" }), cacheFolder({}), "empty is not set");
  assert.equal(cacheFolder({ COINLAKE_CACHE: "here" }), resolve("here"), "parts run in folders of their own");
});

test("a broken download resumes, in the same run and in the next one, and reports its progress", async () => {
  const PIECE_BYTES = 3_000_000;
  const bytes = randomBytes(10_000_000);
  const asked: string[] = [];
  let is_silent = false;
  const server = createServer((request, response) => {
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1]);
    asked.push(String(from));
    response.writeHead(206, { "content-length": bytes.length - from });
    const piece = bytes.subarray(from, from + (is_silent ? 0 : PIECE_BYTES));
    response.write(piece, () => from + piece.length < bytes.length && response.destroy());
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/package.tar.gz`;
  const file = join(folder.path, "package.tar.gz");
  writeFileSync(file, bytes.subarray(0, 1_000_000));
  const updates: [number, number | null][] = [];
  const cache: Cache = {
    folder: folder.path,
    say() {},
    progress: () => ({ update: (...now) => void updates.push(now), end() {} }),
  };
  try {
    await download(cache, "package", url, file);
    assert.ok(readFileSync(file).equals(bytes));
    assert.deepEqual(asked, ["1000000", "4000000", "7000000"]);
    assert.deepEqual(updates.at(-1), [bytes.length, bytes.length]);
    writeFileSync(file, bytes.subarray(0, 1_000_000));
    is_silent = true;
    await assert.rejects(download(cache, "package", url, file), {
      code: "FETCH_FAILED",
      message: /after 1000000 bytes nothing more came/,
    });
    assert.equal(readFileSync(file).length, 1_000_000);
  } finally {
    server.close();
  }
});

test("a process whose state cannot be stored is stopped", async () => {
  const part = { ...SERVICES[0]!, command: () => ({ program: "sleep", args: ["60"] }) } satisfies Service;
  const site = {
    files: "",
    folder: folder.path,
    ports: {},
    secrets: openOrCreateCluster(join(folder.path, "full")),
    environment: {},
  };
  await assert.rejects(launch(part, "1", site, join(folder.path, "no such folder")), { code: "ENOENT" });
  assert.deepEqual(
    childrenOf(process.pid).filter((pid) => identify(pid) !== null),
    [],
  );
});

test("a service comes with all services that it needs, in the order in which they start", () => {
  assert.deepEqual(
    withNeeds(["hive"]).map(({ name }) => name),
    ["minio", "postgres", "hive"],
  );
  assert.deepEqual(
    withNeeds(["airflow"]).map(({ name }) => name),
    ["postgres", "airflow"],
  );
  assert.deepEqual(
    withNeeds(["hive", "kafka"]).map(({ name }) => name),
    ["kafka", "minio", "postgres", "hive"],
  );
  assert.deepEqual(withNeeds(["airflow", "spark", "kafka"]), SERVICES);
  const seen = new Set<string>();
  for (const { name, needs } of SERVICES) {
    assert.deepEqual(
      needs.filter((need) => !seen.has(need)),
      [],
      name,
    );
    seen.add(name);
  }
});

test("every port has its own variable and default, and an invalid or repeated port is rejected", async () => {
  const ports = SERVICES.flatMap((part) => part.ports);
  for (const key of ["name", "variable", "default"] as const)
    assert.equal(new Set(ports.map((port) => port[key])).size, ports.length);
  const chosen = await choosePorts(folder.path, SERVICES, { COINLAKE_KAFKA_PORT: "19092" });
  assert.deepEqual(chosen.get("kafka"), { kafka: 19092, "kafka-controller": 9093 });
  await assert.rejects(choosePorts(folder.path, SERVICES, { COINLAKE_KAFKA_PORT: "9000" }), {
    code: "PORT_TWICE",
    message: /"kafka" and "minio"/,
  });
  for (const bad of ["0", "70000", "kafka", "1.5"])
    await assert.rejects(choosePorts(folder.path, SERVICES, { COINLAKE_KAFKA_PORT: bad }), { code: "INVALID_PORT" });
});

test("a cluster of an earlier version gets the secrets of newer services and keeps those it has", () => {
  const path = fill("earlier", {
    "secrets.json": '{"s3_access_key":"known","s3_secret_key":"known","postgres_password":"known"}',
  });
  const secrets = openOrCreateCluster(path);
  assert.deepEqual(
    [secrets.s3_access_key, secrets.s3_secret_key, secrets.postgres_password],
    ["known", "known", "known"],
  );
  assert.match(secrets.airflow_password, /^[0-9a-f]{20}$/);
  assert.deepEqual(openOrCreateCluster(path), secrets);
});

test("a missing tool is reported with its purpose and how to install it", () => {
  const tool = { program: "no-such-program", purpose: "fetches Kafka", remedy: "Install it." };
  assert.throws(() => findTool(tool), {
    code: "TOOL_NOT_FOUND",
    message: /"no-such-program", which fetches Kafka/,
    next_step: "Install it.",
  });
  const { PATH } = process.env;
  writeFileSync(join(folder.path, "tar"), "#!/bin/sh\necho 'bsdtar 3.7.2 - libarchive 3.7.2'\n", { mode: 0o755 });
  process.env["PATH"] = `${folder.path}:${PATH}`;
  try {
    assert.throws(() => findTar("unpacks Spark"), {
      code: "TOOL_NOT_FOUND",
      message: /tar is not GNU tar, which unpacks Spark/,
    });
  } finally {
    process.env["PATH"] = PATH;
  }
});

test("`cluster status` of a cluster that was never started reports stopped services and creates nothing", async () => {
  const data = join(folder.path, "none");
  const { code, stdout } = await coinlake(["cluster", "status", "--native", "--json", "--data", data]);
  assert.equal(code, 0);
  const { parts, lag, lag_error } = JSON.parse(stdout) as {
    parts: { state: string }[];
    lag: unknown;
    lag_error: unknown;
  };
  assert.deepEqual(
    parts.map(({ state }) => state),
    SERVICES.map(() => "stopped"),
  );
  assert.deepEqual([lag, lag_error], [null, null]);
  assert.ok(!existsSync(data));
});

test("the command line rejects an unknown service", async () => {
  const { code, stderr } = await coinlake([
    "cluster",
    "up",
    "--native",
    "--only",
    "zookeeper",
    "--data",
    join(folder.path, "none"),
  ]);
  assert.equal(code, 2);
  assert.match(stderr, /Unknown service "zookeeper": use kafka, minio, postgres, hive/);
});
