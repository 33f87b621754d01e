import { uniform } from "../../producers/simulated/random.ts";
import { STEPS, type Step } from "../../src/base/failpoints.ts";

/** The moment at which a life of the process ends. */
export type Moment =
  /** The process kills itself when it reaches the failpoint for the nth time. */
  | { kind: "step"; step: Step; nth: number }
  /** The process is killed from outside, this long after its start. */
  | { kind: "time"; after_ms: number }
  /**
   * The dbt worker is killed this long after its start; the process must bring gold up to date nevertheless, and is
   * killed then.
   */
  | { kind: "worker"; after_ms: number };

export interface Kill {
  moment: Moment;
  /** Replay speed in this life. */
  speed: number | "max";
  /** Whether the process exits by itself when everything is in gold and tested. */
  is_draining: boolean;
}

/**
 * Recorded seconds per second, five of which yield one record. A life that ends with an append lasts one or two
 * seconds; one that waits for the dbt worker lasts half a minute on a busy machine. At this speed each reads some
 * dozens of records.
 */
const SPEED_OF_APPENDS = 100;
const SPEEDS = [10, 25, 50];
/** Kills by time range from the first import of a module to the end of the first increment. */
const LATEST_KILL_MS = 12_000;
/** A worker takes a few seconds to parse the project, then a few more for an increment. */
const LATEST_WORKER_KILL_MS = 9_000;

type Draw = (below: number) => number;

/**
 * One round of a plan reaches every failpoint, most of them once. `nth` depends on the frequency of a failpoint:
 * several appends per second; a commit to bronze at once and then every ten seconds; one commit for each table that dbt
 * writes.
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

/** The last kills hit the process while it drains: between the models of a large batch, and between the tests. */
const DRAINING: readonly ((draw: Draw) => Moment)[] = [
  (draw) => ({ kind: "time", after_ms: 500 + draw(6000) }),
  (draw) => ({ kind: "step", step: "inside transform", nth: 4 + draw(16) }),
];

export const KILLS_IN_A_ROUND = ROUND.length;
export const KILLS_WHILE_DRAINING = DRAINING.length;

/**
 * `count` kills, equal for equal seeds: whole rounds in a shuffled order as far as they fit, and two kills while
 * draining.
 */
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

/**
 * Each failpoint once, without waiting for a worker unless the failpoint needs one: the plan that fits into a test run.
 */
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

/** Name under which the kill is counted. */
export function kindOf({ moment, is_draining }: Kill): string {
  if (is_draining) return "while draining";
  if (moment.kind === "time") return "at a random moment";
  if (moment.kind === "worker") return "the dbt worker, then the process";
  return moment.step.endsWith("pointer") && moment.nth > 1 ? `${moment.step}, 2nd to 8th` : moment.step;
}

/** 1, or `late` in one of four cases, which takes a further commit interval. */
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
