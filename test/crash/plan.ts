import { uniform } from "../../producers/simulated/random.ts";
import { STEPS, type Step } from "../../src/base/failpoints.ts";

/** When a life of the process ends. */
export type Moment =
  /** The process kills itself on reaching the step for the nth time. */
  | { kind: "step"; step: Step; nth: number }
  /** The process is killed from outside, so long after its birth. */
  | { kind: "time"; after_ms: number }
  /** The dbt worker is killed so long after its birth; the process must bring gold up to date nevertheless, and is killed then. */
  | { kind: "worker"; after_ms: number };

export interface Kill {
  moment: Moment;
  /** How fast the recording plays in this life. */
  speed: number | "max";
  /** Whether the process was told to end by itself once everything is in gold and tested. */
  is_draining: boolean;
}

/**
 * Recorded seconds a second, of which five bring a record: a life that ends with an append lasts for a second or two, one that
 * waits for the dbt worker for half a minute where the machine is busy, and each shall take some dozens.
 */
const SPEED_OF_APPENDS = 100;
const SPEEDS = [10, 25, 50];
/** Kills by time fall anywhere from the first import of a module to after the first increment. */
const LATEST_KILL_MS = 12_000;
/** A worker takes a few seconds to parse the project, and then some for an increment. */
const LATEST_WORKER_KILL_MS = 9_000;

type Draw = (below: number) => number;

/**
 * One round of a plan meets every step, most of them once. How often a step must come before it kills: appends come several a
 * second; a commit to bronze comes first at once and then every ten seconds, and each table that dbt writes is a commit too.
 */
const ROUND: readonly ((draw: Draw) => Moment)[] = [
  (draw) => ({ kind: "step", step: "before append", nth: 1 + draw(20) }),
  (draw) => ({ kind: "step", step: "after append", nth: 1 + draw(20) }),
  (draw) => ({ kind: "step", step: "before files", nth: rarely(draw, 2) }),
  (draw) => ({ kind: "step", step: "after files", nth: rarely(draw, 2) }),
  () => ({ kind: "step", step: "before pointer", nth: 1 }),
  () => ({ kind: "step", step: "after pointer", nth: 1 }),
  (draw) => ({ kind: "step", step: "before pointer", nth: 2 + draw(7) }),
  (draw) => ({ kind: "step", step: "after pointer", nth: 2 + draw(7) }),
  (draw) => ({ kind: "step", step: "before acknowledgement", nth: rarely(draw, 2) }),
  (draw) => ({ kind: "step", step: "before transform", nth: rarely(draw, 2) }),
  (draw) => ({ kind: "step", step: "inside transform", nth: 1 + draw(10) }),
  () => ({ kind: "step", step: "after transform", nth: 1 }),
  (draw) => ({ kind: "worker", after_ms: draw(LATEST_WORKER_KILL_MS) }),
  ...Array.from({ length: 6 }, () => (draw: Draw): Moment => ({ kind: "time", after_ms: draw(LATEST_KILL_MS) })),
];

/** The last kills meet the process while it drains: among the models of a large batch, and among the tests. */
const DRAINING: readonly ((draw: Draw) => Moment)[] = [
  (draw) => ({ kind: "time", after_ms: 500 + draw(6000) }),
  (draw) => ({ kind: "step", step: "inside transform", nth: 4 + draw(16) }),
];

export const KILLS_IN_A_ROUND = ROUND.length;
export const KILLS_WHILE_DRAINING = DRAINING.length;

/** So many kills, the same for the same seed: whole rounds in a shuffled order as far as they go, and two kills while draining. */
export function planKills(seed: number, count: number): Kill[] {
  const draw = drawFrom(seed);
  const kills: Kill[] = [];
  while (kills.length < count - DRAINING.length) {
    for (const moment of shuffled(ROUND, draw)) kills.push(underWay(moment(draw), draw));
  }
  kills.length = Math.max(0, count - DRAINING.length);
  for (const moment of DRAINING.slice(0, count - kills.length))
    kills.push({ moment: moment(draw), speed: "max", is_draining: true });
  return kills;
}

/** Every step once, and no waiting for a worker where the step does not need one: the plan that fits into a test run. */
export function planEveryStep(seed: number): Kill[] {
  const draw = drawFrom(seed);
  const moments: Moment[] = [
    ...STEPS.map((step): Moment => ({
      kind: "step",
      step,
      nth: step.endsWith("append") ? 1 + draw(10) : step === "inside transform" ? 2 + draw(6) : 1,
    })),
    { kind: "step", step: "before pointer", nth: 2 + draw(6) },
    { kind: "time", after_ms: draw(1500) },
    { kind: "time", after_ms: 1000 + draw(4000) },
  ];
  return shuffled(moments, draw).map((moment) => underWay(moment, draw));
}

function underWay(moment: Moment, draw: Draw): Kill {
  const is_append = moment.kind === "step" && moment.step.endsWith("append");
  return { moment, speed: is_append ? SPEED_OF_APPENDS : (SPEEDS[draw(SPEEDS.length)] ?? 1), is_draining: false };
}

export function describeMoment({ moment, is_draining }: Kill): string {
  const when = is_draining ? " while draining" : "";
  if (moment.kind === "step") return `${moment.step}:${moment.nth}${when}`;
  return `${moment.kind === "worker" ? "the dbt worker" : "the process"} after ${moment.after_ms} ms${when}`;
}

/** What the kill is counted under. */
export function kindOf({ moment, is_draining }: Kill): string {
  if (is_draining) return "while draining";
  if (moment.kind === "time") return "at a random moment";
  if (moment.kind === "worker") return "the dbt worker, then the process";
  return moment.step.endsWith("pointer") && moment.nth > 1 ? `${moment.step}, 2nd to 8th` : moment.step;
}

/** 1, and `late` in one of four: then it takes a further commit interval to come. */
function rarely(draw: Draw, late: number): number {
  return draw(4) === 0 ? late : 1;
}

function drawFrom(seed: number): Draw {
  let drawn = 0;
  return (below) => Math.floor(uniform(seed, 0, (drawn += 1)) * below);
}

function shuffled<T>(items: readonly T[], draw: Draw): T[] {
  const result = [...items];
  for (let last = result.length - 1; last > 0; last -= 1) {
    const other = draw(last + 1);
    [result[last], result[other]] = [result[other] as T, result[last] as T];
  }
  return result;
}
