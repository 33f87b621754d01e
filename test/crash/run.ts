import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { temporaryFolder } from "../support/coinlake.ts";
import { survive, type Experiment, type Survival } from "./crash.ts";
import { replayedMarket } from "./known-market.ts";
import { uploadedOrders } from "./known-orders.ts";
import { describeMoment, kindOf, planKills } from "./plan.ts";

const USAGE = `\
Kills the pipeline again and again, restarts it each time, and holds what it made against what was sent to it.

  npm run -s crash -- [KILLS] [--seed N] [--pipeline NAME]

300 kills of the crypto pipeline with a seed of the day, in rounds of 50, each on a separate lake. \
With --pipeline ecommerce, files of
orders arrive all the time: twice, renamed, late and half-written.

Takes some five seconds a kill and prints the seed that repeats a failed round. \
Exits 0 if nothing was lost, doubled or changed.`;

const DEFAULT_KILLS = 300;
/** Each round begins with a new lake and ends with the comparison, so a failure is at most this many kills old. */
const KILLS_IN_A_ROUND = 50;
/**
 * Several times the records that a life consumes on an idle machine, so that no machine runs out of records before the
 * last kill.
 */
const RECORDS_PER_KILL = 100;
/** Additional records for the drain. */
const RECORDS_AT_LEAST = 300;

/** The stream that each pipeline reads. */
const STREAMS: Readonly<Record<string, Experiment["stream"]>> = {
  crypto: replayedMarket,
  ecommerce: uploadedOrders,
};

/** Of the output of a process that did not reach its moment. */
const LAST_WORDS_CHARACTERS = 1_500;

interface Tally {
  kills: number;
  reached: number;
  lived_ms: number;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seed: { type: "string" },
      pipeline: { type: "string", default: "crypto" },
      help: { type: "boolean" },
    },
  });
  const count = Number(positionals[0] ?? DEFAULT_KILLS);
  const first_seed = Number(values.seed ?? Math.floor(Date.now() / 86_400_000));
  const stream = STREAMS[values.pipeline];
  if (values.help || stream === undefined || !Number.isInteger(count) || count < 1 || !Number.isInteger(first_seed)) {
    process.stdout.write(`${USAGE}\n`);
    process.exitCode = values.help ? 0 : 2;
    return;
  }
  const folder = temporaryFolder();
  const tallies = new Map<string, Tally>();
  const totals = { kills: 0, records: 0, records_under_fire: 0, accepted: 0, duplicates: 0, rejected: 0 };
  const started_ms = performance.now();
  for (let seed = first_seed; totals.kills < count; seed += 1) {
    const kills = Math.min(KILLS_IN_A_ROUND, count - totals.kills);
    const round_folder = join(folder.path, String(seed));
    mkdirSync(round_folder);
    say(`round with seed ${seed}: ${kills} kills in ${round_folder}`);
    try {
      const survival = await runRound({ folder: round_folder, seed, kills, stream }, (line) =>
        say(`${clock(started_ms)} ${line}`),
      );
      for (const { kill, life } of survival.lives) addLife(tallies, kindOf(kill), life.is_reached, life.lived_ms);
      totals.kills += kills;
      addTo(totals, survival);
    } catch (error) {
      say(
        `${String(error)}\n\nFAILED in the round with seed ${seed}; its lake stays in ${round_folder}\n` +
          `Again: npm run -s crash -- ${kills} --seed ${seed} --pipeline ${values.pipeline}`,
      );
      process.exitCode = 1;
      return;
    }
  }
  folder.remove();
  process.stdout.write(`${summary(tallies, totals, clock(started_ms))}\n`);
}

async function runRound(
  { folder, seed, kills, stream }: Pick<Experiment, "folder" | "seed" | "stream"> & { kills: number },
  tell: (line: string) => void,
): Promise<Survival> {
  let done = 0;
  const survival = await survive({
    folder,
    seed,
    plan: planKills(seed, kills),
    stream,
    records: RECORDS_AT_LEAST + kills * RECORDS_PER_KILL,
    is_refreshed: true,
    onDeath: (kill, life) => {
      const missed = life.is_reached ? "" : ", before its moment came";
      tell(
        `${String((done += 1)).padStart(3)}/${kills} killed ${describeMoment(kill)}${missed} ` +
          `(lived ${(life.lived_ms / 1000).toFixed(1)} s)`,
      );
      if (!life.is_reached) tell(`its last words:\n${life.finished.stderr.slice(-LAST_WORDS_CHARACTERS)}`);
    },
  });
  const { content, records_before_drain, verification } = survival;
  const { bronze_records, accepted, duplicates, rejected } = verification.figures;
  assert.deepEqual(
    { accepted, duplicates, rejected, bronze_records },
    {
      accepted: content.accepted,
      duplicates: content.duplicates,
      rejected: content.rejected,
      bronze_records: content.records ?? bronze_records,
    },
  );
  tell(
    `survived: ${bronze_records} records (${records_before_drain} of them under fire), ` +
      `${accepted} accepted, ${duplicates} duplicates, ${rejected} rejected: ` +
      "all as sent, and as a full refresh has them",
  );
  return survival;
}

function addLife(tallies: Map<string, Tally>, kind: string, is_reached: boolean, lived_ms: number): void {
  const tally = tallies.get(kind) ?? { kills: 0, reached: 0, lived_ms: 0 };
  tallies.set(kind, {
    kills: tally.kills + 1,
    reached: tally.reached + Number(is_reached),
    lived_ms: tally.lived_ms + lived_ms,
  });
}

function addTo(
  totals: Record<"records" | "records_under_fire" | "accepted" | "duplicates" | "rejected", number>,
  survival: Survival,
): void {
  totals.records += survival.verification.figures.bronze_records;
  totals.records_under_fire += survival.records_before_drain;
  for (const name of ["accepted", "duplicates", "rejected"] as const)
    totals[name] += survival.verification.figures[name];
}

function summary(tallies: Map<string, Tally>, totals: Record<string, number>, duration: string): string {
  const line = (kind: string, ...figures: string[]): string =>
    kind.padEnd(34) + figures.map((figure) => figure.padStart(15)).join("");
  const lines = [...tallies]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([kind, { kills, reached, lived_ms }]) =>
      line(kind, String(kills), String(reached), `${(lived_ms / kills / 1000).toFixed(1)} s`),
    );
  return [
    line("killed", "kills", "at that point", "mean life"),
    ...lines,
    "",
    ...Object.entries(totals).map(([name, figure]) => line(name.replaceAll("_", " "), figure.toLocaleString("en"))),
    line("duration", duration),
    "",
    "Nothing was lost, doubled or changed.",
  ].join("\n");
}

function clock(since_ms: number): string {
  return new Date(performance.now() - since_ms).toISOString().slice(11, 19);
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

await main();
