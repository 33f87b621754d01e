import assert from "node:assert/strict";
import { test } from "node:test";
import { crypto } from "../../pipelines/crypto.ts";
import { haveNamedModels } from "../../src/live/shape.ts";
import type { CompiledRelation } from "../../src/transform/worker.ts";

test("models that an earlier version compiled under other names are not used", () => {
  const compiledAs = (elements: string) =>
    [elements, ...crypto.live.verdicts].map((name) => ({ name, kind: "model" }) as CompiledRelation);
  const isUsed = (relations: CompiledRelation[]) => haveNamedModels(crypto, { digest: "", relations });
  assert.ok(isUsed(compiledAs(crypto.live.elements)));
  assert.ok(!isUsed(compiledAs("crypto_elements")));
});
