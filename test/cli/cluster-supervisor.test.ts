import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { systemClock } from "../../src/base/clock.ts";
import {
  desiredStreams,
  forgetDesired,
  readDesired,
  setDesiredStreams,
  writeDesired,
} from "../../src/services/desired.ts";
import { hasProc, identify } from "../../src/services/machine/process.ts";
import { serviceFolder, readRunning, writeState } from "../../src/services/state.ts";
import { runningSupervisor, supervise } from "../../src/services/supervisor.ts";
import { OperatingError } from "../../src/base/errors.ts";
import { coinlake, temporaryFolder } from "../support/coinlake.ts";
import { eventually } from "../support/eventually.ts";

const folder = temporaryFolder();
after(() => folder.remove());

/** A process in place of a service. */
async function startPart(cluster: string): Promise<number> {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
  await once(child, "spawn");
  const identity = identify(child.pid ?? 0);
  assert.ok(identity !== null);
  mkdirSync(serviceFolder(cluster, "minio"), { recursive: true });
  const state = { ...identity, version: "1", ports: { minio: 1234 }, started_at: new Date().toISOString() };
  writeState(cluster, "minio", state);
  return identity.pid;
}

test(
  "the supervisor restarts a dead service on its ports, retries a failed restart, and ends with the desired state",
  { skip: !hasProc() },
  async () => {
    const cluster = join(folder.path, "cluster");
    const pid = await startPart(cluster);
    writeDesired(cluster, { mode: "native", parts: { minio: { minio: 1234 } } });
    const asked: { names: readonly string[]; port: string | undefined }[] = [];
    const said: string[] = [];
    let streams = 0;
    let next = 0;
    const supervising = supervise({
      folder: cluster,
      clock: { ...systemClock, wait: (wait_ms, signal) => systemClock.wait(Math.min(wait_ms, 5), signal) },
      signal: new AbortController().signal,
      async restart(names, ports) {
        asked.push({ names, port: ports["COINLAKE_MINIO_PORT"] });
        if (asked.length === 1) throw new OperatingError("SERVICE_DIED", "not yet", { next_step: "Wait." });
        next = await startPart(cluster);
      },
      ensureStreams: async () => void (streams += 1),
      say: (text) => said.push(text),
    });
    await eventually(() => streams === 1, { what: "streams that are ensured" });
    assert.equal(asked.length, 0, "nothing has died");
    process.kill(pid, "SIGKILL");
    await eventually(() => runningSupervisor(cluster)?.restarts === 1, { what: "a restart" });
    assert.deepEqual(asked, [
      { names: ["minio"], port: "1234" },
      { names: ["minio"], port: "1234" },
    ]);
    assert.equal(readRunning(cluster, "minio")?.pid, next);
    assert.deepEqual([runningSupervisor(cluster)?.last_error, streams], [null, 2]);
    assert.ok(said.some((text) => text.includes("SERVICE_DIED: not yet")));
    forgetDesired(cluster);
    await supervising;
    process.kill(next, "SIGKILL");
  },
);

test("desired streams are kept until they are removed", () => {
  const cluster = join(folder.path, "desired");
  assert.deepEqual([readDesired(cluster), desiredStreams(cluster)], [null, []]);
  setDesiredStreams(cluster, ["b", "a"], true);
  setDesiredStreams(cluster, ["a"], true);
  assert.deepEqual(desiredStreams(cluster), ["a", "b"]);
  setDesiredStreams(cluster, ["b"], false);
  assert.deepEqual(desiredStreams(cluster), ["a"]);
});

test("`cluster status` and `cluster down` report no services without Docker and without a cluster", async () => {
  const env = { PATH: join(folder.path, "nothing") };
  const at = ["--data", join(folder.path, "none"), "--json"];
  const status = await coinlake(["cluster", "status", ...at], env);
  const { mode, parts, supervisor } = JSON.parse(status.stdout) as {
    mode: string;
    parts: { state: string }[];
    supervisor: unknown;
  };
  assert.deepEqual(
    [status.code, mode, supervisor, new Set(parts.map(({ state }) => state))],
    [0, "native", null, new Set(["stopped"])],
  );
  const down = await coinlake(["cluster", "down", ...at], env);
  assert.deepEqual([down.code, (JSON.parse(down.stdout) as { stopped: string[] }).stopped], [0, []]);
});
