import assert from "node:assert/strict";
import type { RequestListener, ServerResponse } from "node:http";
import { OperatingError } from "../base/errors.ts";
import type { Health } from "./health.ts";
import type { Family } from "./metrics.ts";

/** What serves a pipeline's requests. */
export interface Service {
  listener: RequestListener;
  health: Pick<Health, "now">;
  /** The pipeline's metrics at a scrape. */
  families(): Promise<Family[]>;
  /** Responses that are not complete. */
  requests: Set<ServerResponse>;
}

/** A pipeline's place on the server. */
export interface Mount {
  name: string;
  title: string;
  /** The path before its routes and pages: empty for the first pipeline, `/NAME` for the others. */
  base: string;
  /** Its state before `service` exists, or after it has ended. */
  state: "starting" | "serving" | "stopped";
  service: Service | null;
}

/** First segments of the server's routes, the dashboard's pages and the REST catalog's paths. */
export const RESERVED_NAMES: ReadonlySet<string> = new Set(
  (
    "api assets data-docs healthz login metrics readyz alerts coins lake log quality sql " +
    "coinlake config namespaces tables transactions views"
  ).split(" "),
);

/** Routes that answer for all pipelines. */
const COMMON = /^\/(?:healthz|readyz|metrics|login|assets\/[^/]+)$/;

/**
 * The pipelines of one server, by path. A request's path is stripped of the pipeline's base, so that each pipeline's
 * routes are the same as those of an only pipeline.
 */
export class Mounts {
  readonly all: readonly Mount[];
  readonly #first: Mount;

  /** Throws PIPELINE_NAME_RESERVED. */
  constructor(pipelines: readonly { name: string; title: string }[]) {
    const reserved = pipelines.length === 1 ? undefined : pipelines.find(({ name }) => RESERVED_NAMES.has(name));
    if (reserved !== undefined) throw nameReserved(reserved.name);
    this.all = pipelines.map(({ name, title }, index) => {
      assert.match(name, /^[a-z][a-z0-9_-]*$/, "a pipeline's name can be part of a path");
      return { name, title, base: index === 0 ? "" : `/${name}`, state: "starting", service: null };
    });
    const [first] = this.all;
    assert.ok(first !== undefined, "a server has a pipeline");
    this.#first = first;
  }

  get are_several(): boolean {
    return this.all.length > 1;
  }

  of(name: string): Mount {
    const found = this.all.find((mount) => mount.name === name);
    assert.ok(found !== undefined, `the server has the pipeline ${name}`);
    return found;
  }

  /** The pipeline that a request is for, and the request's URL within it. */
  find(url: string): { mount: Mount; url: string } {
    const path = url.split("?", 1)[0] ?? "/";
    const mount = this.all.find(({ base }) => base !== "" && (path === base || path.startsWith(`${base}/`)));
    if (mount !== undefined) {
      const rest = url.slice(mount.base.length);
      return { mount, url: rest.startsWith("/") ? rest : `/${rest}` };
    }
    // Any pipeline that serves can answer for all, while the first one starts.
    const serving = COMMON.test(path) ? this.all.find(({ service }) => service !== null) : undefined;
    return { mount: serving ?? this.#first, url };
  }
}

function nameReserved(name: string): OperatingError {
  return new OperatingError(
    "PIPELINE_NAME_RESERVED",
    `The pipeline "${name}" cannot share a server: /${name} is taken`,
    {
      next_step: `Rename it in pipelines/, or run it alone with --pipeline ${name}.`,
    },
  );
}
