import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";
import { onAbort } from "../../src/base/abortable.ts";

test("A listener is called once when the signal aborts, and immediately if it already has.", () => {
  const controller = new AbortController();
  let calls = 0;
  onAbort(controller.signal, () => (calls += 1));
  assert.equal(calls, 0);
  controller.abort();
  controller.abort();
  assert.equal(calls, 1);
  onAbort(controller.signal, () => (calls += 1));
  assert.equal(calls, 2);
});

test("A removed listener is not called and is no longer registered with the signal.", () => {
  const controller = new AbortController();
  const stopListening = onAbort(controller.signal, () => assert.fail());
  stopListening();
  assert.equal(getEventListeners(controller.signal, "abort").length, 0);
  controller.abort();
});
