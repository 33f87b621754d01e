import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { crypto } from "../../pipelines/crypto.ts";
import { chooseSource, type SourceRequest } from "../../src/cli/choose-source.ts";
import { OperatingError } from "../../src/base/errors.ts";
import { openOrCreateLake } from "../../src/lake/lake.ts";
import { claimLake } from "../../src/lake/ownership.ts";
import type { LakeKind, Producer } from "../../src/producer/producer.ts";
import { temporaryFolder } from "../support/coinlake.ts";

const folder = temporaryFolder();
after(() => folder.remove());

const unreachable = (id: string) => async (): Promise<void> => {
  throw new OperatingError("SOURCE_UNREACHABLE", `${id} does not answer.`, { next_step: "Wait.", is_retryable: true });
};
const hangs = (signal: AbortSignal): Promise<void> =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));

/** Probes by source; a source without an entry answers. */
type Probes = Partial<Record<string, Producer["probe"]>>;

function requestFor(
  source: string | null,
  probes: Probes = {},
  data = "nothing",
): { request: SourceRequest; said: string[] } {
  const stub = (id: string, kind: LakeKind = "live"): Producer => ({
    id,
    kind,
    probe: probes[id] ?? (async () => {}),
    async *batches() {},
  });
  const alone = (id: string, kind?: LakeKind) => ({
    description: id,
    argument: null,
    create: async () => [stub(id, kind)],
  });
  const producers = {
    live: {
      description: "all",
      argument: null,
      create: async () => ["coingecko", "binance", "kraken"].map((id) => stub(id)),
    },
    coingecko: alone("coingecko"),
    binance: alone("binance"),
    kraken: alone("kraken"),
    simulated: alone("simulated", "simulated"),
    replay: {
      description: "a file",
      argument: { name: "FILE", is_required: true },
      create: async () => [stub("replay", "replay")],
    },
  };
  const said: string[] = [];
  const output = {
    is_json: false,
    result: () => {},
    say: (text: string) => void said.push(text),
    warn: (text: string) => void said.push(text),
  };
  const request = {
    pipeline: { ...crypto, producers },
    source,
    data_folder: join(folder.path, data),
    speed: null,
    is_until_drained: false,
    output,
  } as unknown as SourceRequest;
  return { request, said };
}

async function chosen(
  source: string | null,
  probes?: Probes,
  data?: string,
): Promise<[ids: string[], kind: string, lake_name: string]> {
  const { producers, kind, lake_name } = await chooseSource(requestFor(source, probes, data).request);
  return [producers.map(({ id }) => id), kind, lake_name];
}

test("live sources run alone, all together or as listed, each once, in one lake", async () => {
  assert.deepEqual(await chosen("live"), [["coingecko", "binance", "kraken"], "live", "live"]);
  assert.deepEqual(await chosen("binance"), [["binance"], "live", "live"]);
  assert.deepEqual(await chosen("kraken, binance,kraken"), [["kraken", "binance"], "live", "live"]);
  assert.deepEqual(await chosen("binance,live"), [["binance", "coingecko", "kraken"], "live", "live"]);
  assert.deepEqual(await chosen("simulated"), [["simulated"], "simulated", "simulated"]);
  assert.deepEqual(await chosen("replay:a,b.csv.gz"), [["replay"], "replay", "replay-a-b"]);
});

test("a source that is not live does not run beside others, and an unknown source is named in the error", async () => {
  await assert.rejects(chosen("binance,simulated"), { code: "SOURCES_DO_NOT_MIX" });
  await assert.rejects(chosen("binance,gemini"), { code: "SOURCE_NOT_FOUND", message: 'Unknown source "gemini"' });
  await assert.rejects(chosen("binance,"), { code: "SOURCE_NOT_FOUND" });
  await assert.rejects(chosen("toString"), { code: "SOURCE_NOT_FOUND" });
  await assert.rejects(chosen("binance:5"), { code: "SOURCE_TAKES_NO_ARGUMENT" });
});

test("at the first start the default is live as soon as any source answers its probe", async () => {
  const probes = { coingecko: hangs, binance: unreachable("binance") };
  assert.deepEqual(await chosen(null, probes), [["coingecko", "binance", "kraken"], "live", "live"]);
});

test("if no source answers, the fallback runs, and the reason of every source is reported", async () => {
  const { request, said } = requestFor(null, {
    coingecko: unreachable("coingecko"),
    binance: unreachable("binance"),
    kraken: unreachable("kraken"),
  });
  const { kind, lake_name } = await chooseSource(request);
  assert.deepEqual([kind, lake_name], ["simulated", "simulated"]);
  assert.match(said[0] ?? "", /coingecko does not answer\. binance does not answer\. kraken does not answer\./);
  assert.match(said[1] ?? "", /SIMULATED/);
});

test("an existing live lake continues if no source answers, and a programming error in a probe is thrown", async () => {
  const data_folder = join(folder.path, "present");
  mkdirSync(data_folder);
  openOrCreateLake(data_folder, { name: "live", kind: "live", pipeline: "crypto" });
  assert.equal(
    (
      await chosen(
        null,
        { kraken: unreachable("kraken"), coingecko: unreachable("c"), binance: unreachable("b") },
        "present",
      )
    )[1],
    "live",
  );
  const mistaken = async (): Promise<void> => {
    throw new TypeError("a mistake");
  };
  await assert.rejects(
    chosen(null, { kraken: mistaken, coingecko: unreachable("c"), binance: unreachable("b") }),
    TypeError,
  );
});

test("a running fallback is reported before any source is probed, and live sources can still be chosen", async () => {
  const lake = openOrCreateLake(join(folder.path, "running"), {
    name: "simulated",
    kind: "simulated",
    pipeline: "crypto",
  });
  const probed: string[] = [];
  const probe = (id: string) => async () => void probed.push(id);
  const probes = { coingecko: probe("coingecko"), binance: probe("binance"), kraken: probe("kraken") };
  const claim = claimLake(lake, "start");
  try {
    const rejected = { code: "LAKE_IN_USE", next_step: /`--source live` and other ports/ };
    await assert.rejects(chosen(null, probes, "running"), rejected);
    assert.deepEqual(probed, []);
    assert.equal((await chosen("live", probes, "running"))[2], "live");
  } finally {
    claim.release();
  }
  assert.equal((await chosen(null, probes, "running"))[2], "live");
});
