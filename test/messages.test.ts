import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { test } from "node:test";

/** Only `verify` can report data loss: an error's message knows only its own failure. */
test("no message claims that nothing is lost", () => {
  const files = globSync([
    "src/**/*.ts",
    "producers/**/*.ts",
    "pipelines/**/*.ts",
    "streaming/**/*.ts",
    "dashboard/**/*.{ts,tsx}",
  ]);
  const claims = files.flatMap((file) =>
    readFileSync(file, "utf8")
      .split("\n")
      .flatMap((line, index) =>
        /["`].*nothing (acknowledged )?is lost/i.test(line) && !/^\s*(\/\/|\/?\*)/.test(line)
          ? [`${file}:${index + 1}`]
          : [],
      ),
  );
  assert.ok(files.length > 100);
  assert.deepEqual(claims, []);
});

/** `explain` joins a message and its next step, and adds the period. */
test("no error message ends in a period", () => {
  const call = /(?:new OperatingError|super)\(\s*"?[^,"]+"?,\s*("(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`)\s*,/g;
  const messages = globSync(["src/**/*.ts", "producers/**/*.ts", "pipelines/**/*.ts"]).flatMap((file) =>
    [...readFileSync(file, "utf8").matchAll(call)].map(([, message]) => `${file}: ${message}`),
  );
  assert.ok(messages.length > 150, `${messages.length} messages found`);
  assert.deepEqual(
    messages.filter((message) => /[^.]\.["`]$/.test(message)),
    [],
  );
});
