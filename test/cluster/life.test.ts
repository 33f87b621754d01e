import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startServices } from "../../src/services/cluster.ts";
import { cacheFolder } from "../../src/services/fetch/cache.ts";
import { freePorts, isListenedOn } from "../../src/services/machine/port.ts";
import { childrenOf, identify, isRunning } from "../../src/services/machine/process.ts";
import type { ServiceName } from "../../src/services/service.ts";
import { SERVICES, serviceNamed } from "../../src/services/registry.ts";
import type { ServiceStatus } from "../../src/services/status.ts";
import { runningSupervisor } from "../../src/services/supervisor.ts";
import { coinlake, temporaryFolder } from "../support/coinlake.ts";
import { createDatabase, databases, s3, topics, type Found } from "./clients.ts";

const folder = temporaryFolder();
const data = join(folder.path, "data");
const cluster = join(data, "cluster");
/** Environment variables that set every port of the command line. */
const ports: Record<string, string> = {};

before(async () => {
  // As root, PostgreSQL runs as another user, which needs access to the folder.
  chmodSync(folder.path, 0o711);
  const variables = SERVICES.flatMap((part) => part.ports.map(({ variable }) => variable));
  const numbers = await freePorts(variables.length);
  variables.forEach((variable, index) => (ports[variable] = String(numbers[index])));
});
after(async () => {
  await run("down", "--purge");
  folder.remove();
});

async function run(...args: string[]) {
  // A shell that has loaded an `environment.env` has this variable too.
  return await coinlake(["cluster", ...args, "--native", "--data", data], {
    ...ports,
    SPARK_REMOTE: "sc://127.0.0.1:15002",
  });
}

async function status(): Promise<ServiceStatus[]> {
  const { code, stdout, stderr } = await run("status", "--json");
  assert.equal(code, 0, stderr);
  return (JSON.parse(stdout) as { parts: ServiceStatus[] }).parts;
}

async function pids(): Promise<Record<string, number | null>> {
  return Object.fromEntries((await status()).map(({ part, pid }) => [part, pid]));
}

function environment(): Found {
  const lines = readFileSync(join(cluster, "environment.env"), "utf8").trim().split("\n");
  return Object.fromEntries(lines.map((line) => line.split(/=(.*)/s))) as unknown as Found;
}

/** Data that each service stored before it was killed. */
const OBJECT = "/warehouse/kept.txt";
let kafka_files = "";

test("`fetch` downloads every service and starts none", async () => {
  const { code, stdout, stderr } = await coinlake(["cluster", "fetch", "--json", "--data", data]);
  assert.equal(code, 0, stderr);
  const { services } = JSON.parse(stdout) as { services: Record<string, { folder: string }> };
  assert.deepEqual(Object.keys(services).sort(), SERVICES.map(({ name }) => name).sort());
  for (const { folder } of Object.values(services)) assert.ok(existsSync(folder), folder);
  assert.ok(!existsSync(cluster), "nothing was started");
});

test("`up` starts every service on the ports that the variables set", async () => {
  const { code, stdout, stderr } = await run("up");
  assert.equal(code, 0, stderr);
  for (const { title } of SERVICES) assert.match(stderr, new RegExp(`${title} .* started in`));
  assert.match(stdout, /environment\.env/);
  for (const { state, part, ports: numbers, pid, memory_bytes } of await status()) {
    assert.equal(state, "running", part);
    assert.ok(pid !== null && identify(pid) !== null && (memory_bytes ?? 0) > 1024 ** 2);
    for (const { name, variable } of serviceNamed(part)?.ports ?? [])
      assert.equal(String(numbers[name]), ports[variable]);
  }
});

test("Kafka stores a topic, S3 an object, and the metastore a database with its folder in S3", async () => {
  const found = environment();
  kafka_files = (
    await serviceNamed("kafka")!.fetch({ folder: cacheFolder(), say() {}, progress: () => ({ update() {}, end() {} }) })
  ).folder;
  topics(found, kafka_files, ["--create", "--topic", "kept", "--partitions", "3"]);
  assert.match(topics(found, kafka_files, ["--list"]), /^kept$/m);
  assert.equal((await s3(found, "PUT", OBJECT, "kept")).status, 200);
  assert.equal(await (await s3(found, "GET", OBJECT)).text(), "kept");
  await createDatabase(found, "kept", "s3://warehouse/kept.db");
  assert.match(await databases(found), /kept/);
  // The metastore created the database's folder in the bucket.
  assert.match(await (await s3(found, "GET", "/warehouse")).text(), /<Key>kept\.db\//);
});

test("no service listens beyond this machine", async () => {
  const numbers = new Set((await status()).flatMap(({ ports: numbers }) => Object.values(numbers)));
  const rows = ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((table) =>
    readFileSync(table, "utf8").trim().split("\n").slice(1),
  );
  const places = rows
    .map((row) => row.trim().split(/\s+/))
    .filter(([, local, , state]) => state === "0A" && numbers.has(Number.parseInt(local?.split(":")[1] ?? "", 16)));
  assert.ok(places.length >= numbers.size);
  // 127.0.0.1, the same as an IPv6 address, and ::1.
  const loopback = new Set(["0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"]);
  assert.deepEqual(
    places.map(([, local]) => local?.split(":")[0] ?? "").filter((address) => !loopback.has(address)),
    [],
  );
});

test("only their owner can read the files with secrets", () => {
  for (const file of ["secrets.json", "environment.env"])
    assert.equal(statSync(join(cluster, file)).mode & 0o077, 0, file);
});

test("a second `up` finds everything running and starts nothing", async () => {
  const was = await pids();
  const { code, stderr } = await run("up");
  assert.equal(code, 0, stderr);
  for (const { title } of SERVICES) assert.match(stderr, new RegExp(`${title} .* runs already`));
  assert.deepEqual(await pids(), was);
});

test("a taken port is rejected with the process that holds it, before anything starts", async () => {
  const other = join(folder.path, "other");
  const kafka = (await pids()).kafka;
  const { code, stderr } = await coinlake(["cluster", "up", "--native", "--data", other], ports);
  assert.equal(code, 1);
  assert.match(
    stderr,
    new RegExp(
      `Kafka cannot listen on port ${ports.COINLAKE_KAFKA_PORT}: ` +
        `it is taken by process ${kafka} \\(java, in ${cluster}/kafka\\)`,
    ),
  );
  assert.match(stderr, /PORT_TAKEN[\s\S]*COINLAKE_KAFKA_PORT/);
  assert.ok(!existsSync(join(other, "cluster", "kafka")));
});

/** Resolves when every service runs. */
async function untilAllRun(): Promise<ServiceStatus[]> {
  for (;;) {
    const parts = await status();
    if (parts.every(({ state }) => state === "running")) return parts;
  }
}

for (const { name, title } of SERVICES) {
  test(`a killed ${title} restarts by itself with its data, and the other services are not restarted`, async () => {
    const was = await pids();
    process.kill(was[name] ?? 0, "SIGKILL");
    while (identify(was[name] ?? 0) !== null) await new Promise((resolve) => setImmediate(resolve));
    const is = Object.fromEntries((await untilAllRun()).map(({ part, pid }) => [part, pid]));
    for (const part of Object.keys(was)) assert.equal(is[part] === was[part], part !== name, part);
    const found = environment();
    if (name === "kafka") assert.match(topics(found, kafka_files, ["--list"]), /^kept$/m);
    if (name === "minio") assert.equal(await (await s3(found, "GET", OBJECT)).text(), "kept");
    if (name === "postgres" || name === "hive") assert.match(await databases(found), /kept/);
  });
}

test("without the supervisor a killed service is reported as died, and `up` restarts both", async () => {
  const supervisor = runningSupervisor(cluster);
  assert.ok(
    supervisor !== null && supervisor.restarts === SERVICES.length && supervisor.last_error === null,
    JSON.stringify(supervisor),
  );
  const minio = (await pids()).minio ?? 0;
  for (const pid of [supervisor.pid, minio]) {
    process.kill(pid, "SIGKILL");
    while (identify(pid) !== null) await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal((await status()).find(({ part }) => part === "minio")?.state, "died");
  const { code, stderr } = await run("up");
  assert.equal(code, 0, stderr);
  assert.notEqual((await pids()).minio, minio);
  assert.notEqual(runningSupervisor(cluster)?.pid, undefined);
});

test("`cluster status` reports how the cluster was started", async () => {
  const { code, stdout } = await coinlake(["cluster", "status", "--json", "--data", data], ports);
  assert.equal(code, 0);
  const { mode, supervisor } = JSON.parse(stdout) as { mode: string; supervisor: { pid: number } };
  assert.deepEqual([mode, supervisor.pid], ["native", runningSupervisor(cluster)?.pid]);
});

test("`down` stops every process and its children, and keeps the data", async () => {
  const was = await status();
  const processes = was
    .flatMap(({ pid }) => (pid === null ? [] : [pid, ...childrenOf(pid)]))
    .map((pid) => identify(pid));
  const supervisor = runningSupervisor(cluster);
  const { code, stderr } = await coinlake(["cluster", "down", "--data", data], ports);
  assert.equal(code, 0, stderr);
  assert.ok(supervisor !== null && !isRunning(supervisor));
  assert.deepEqual(
    processes.filter((identity) => identity !== null && isRunning(identity)),
    [],
  );
  assert.deepEqual(was.flatMap(({ ports: numbers }) => Object.values(numbers)).filter(isListenedOn), []);
  assert.ok((await status()).every(({ state }) => state === "stopped"));
  assert.equal(readFileSync(join(cluster, "environment.env"), "utf8"), "");
  assert.match((await run("down")).stderr, /No server is running/);
});

test("`up --only` starts a service with the services that it needs, and with their data", async () => {
  const { code, stderr } = await run("up", "--only", "hive");
  assert.equal(code, 0, stderr);
  assert.deepEqual(
    (await status()).map(({ state }) => state),
    ["stopped", "running", "running", "running", "stopped", "stopped"],
  );
  assert.match(await databases(environment()), /kept/);
});

test("`down --purge` stops every service and deletes the cluster's folder", async () => {
  const { code, stderr } = await run("down", "--purge");
  assert.equal(code, 0, stderr);
  assert.ok(!existsSync(cluster));
});

test("`down --purge` does not delete a folder that is not a cluster's", async () => {
  mkdirSync(cluster, { recursive: true });
  writeFileSync(join(cluster, "mine.txt"), "");
  const { code, stderr } = await run("down", "--purge");
  assert.equal(code, 1);
  assert.match(stderr, /NOT_A_CLUSTER/);
  assert.ok(existsSync(join(cluster, "mine.txt")));
});

test("services start on free ports for a test, side by side, and stop together", async () => {
  const start = (name: string, part: ServiceName) =>
    startServices([part], { folder: join(folder.path, name), ports: "free" });
  const [one, two] = await Promise.all([start("one", "minio"), start("two", "minio")]);
  assert.notEqual(one.ports.minio, two.ports.minio);
  await Promise.all([one.stop(), two.stop()]);
  assert.deepEqual(
    [one, two].map(({ ports: numbers }) => isListenedOn(numbers.minio ?? 0)),
    [false, false],
  );
});

test(
  "if a service does not start, the services that were started for it are stopped",
  { skip: process.getuid?.() === 0 ? false : "root alone runs PostgreSQL as somebody else" },
  async () => {
    const closed = join(folder.path, "closed");
    mkdirSync(closed, { mode: 0o700 });
    const numbers = await freePorts(1);
    await assert.rejects(
      startServices(["hive"], {
        folder: join(closed, "cluster"),
        ports: { ...ports, COINLAKE_MINIO_PORT: String(numbers[0]) },
      }),
      { code: "FOLDER_CLOSED" },
    );
    assert.equal(isListenedOn(numbers[0] ?? 0), false);
  },
);

test("a port held by a process of any kind is rejected with that process's id", async () => {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as { port: number };
  const env = { ...ports, COINLAKE_MINIO_PORT: String(port) };
  await assert.rejects(startServices(["minio"], { folder: join(folder.path, "third"), ports: env }), {
    code: "PORT_TAKEN",
    message: new RegExp(`process ${process.pid} \\(`),
  });
  await new Promise((closed) => server.close(closed));
});
