import assert from "node:assert/strict";
import { after, test } from "node:test";
import { crypto } from "../../pipelines/crypto.ts";
import { cachedModels, prepareModels } from "../../src/transform/models.ts";
import type { CommandResult } from "../../src/transform/worker.ts";
import { temporaryFolder } from "../support/coinlake.ts";

const { project } = crypto.transform;
const folder = temporaryFolder();
after(() => folder.remove());

/** Answers commands one at a time, in request order, as dbt does. */
class CommandQueue {
  readonly ran: string[] = [];
  readonly #failing: string | null;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(failing: string | null = null) {
    this.#failing = failing;
  }

  run = (args: readonly string[]): Promise<CommandResult> => {
    const command = args[0] ?? "";
    const result = this.#queue.then(() => {
      this.ran.push(command);
      return this.#result(command);
    });
    this.#queue = result;
    return result;
  };

  #result(command: string): CommandResult {
    const is_success = command !== this.#failing;
    const status = is_success ? "success" : "error";
    const node = { name: `a ${command}`, kind: "model", status, seconds: 1, message: "out of order", failures: null };
    return { is_success, seconds: 1, cpu_seconds: 1, nodes: [node], relations: [] };
  }
}

test("An increment requested during the preparation of the models runs after it.", async () => {
  const queue = new CommandQueue();
  const preparing = prepareModels(queue, project, folder.path);
  const increment = queue.run(["run"]);
  const models = await preparing;
  await increment;
  assert.deepEqual(queue.ran, ["seed", "compile", "run"]);
  assert.deepEqual(cachedModels(project, folder.path), models);
});

for (const [command, message] of [
  ["seed", /could not load the seeds\.\na seed: out of order/],
  ["compile", /could not compile the models for the live tail\.\na compile: out of order/],
] as const) {
  test(`A failed ${command} fails the preparation.`, async () => {
    const failing = prepareModels(new CommandQueue(command), project, folder.path);
    await assert.rejects(failing, { code: "MODEL_FAILED", message });
  });
}
