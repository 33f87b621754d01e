import assert from "node:assert/strict";
import { systemClock } from "../../../src/base/clock.ts";

export interface TaskInstance {
  task_id: string;
  state: string | null;
  try_number: number;
}

interface DagRun {
  dag_run_id: string;
  state: string;
}

const LOOK_MS = 250;
const RUN_TIMEOUT_MS = 900_000;

/** Airflow's REST API, as its web interface uses it. */
export class AirflowClient {
  readonly #url: string;
  readonly #token: string;
  readonly #dag: string;

  private constructor(url: string, token: string, dag: string) {
    this.#url = url;
    this.#token = token;
    this.#dag = dag;
  }

  /** Throws for a wrong password. */
  static async login(
    environment: Readonly<Record<string, string>>,
    dag: string,
    password = environment.COINLAKE_AIRFLOW_PASSWORD,
  ): Promise<AirflowClient> {
    const url = environment.COINLAKE_AIRFLOW_URL ?? "";
    const response = await fetch(`${url}/auth/token`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ username: environment.COINLAKE_AIRFLOW_USER, password }),
    });
    assert.ok(response.ok, `login: ${response.status}`);
    const { access_token } = (await response.json()) as { access_token: string };
    return new AirflowClient(url, access_token, dag);
  }

  async #call<T>(method: string, path: string, body?: object): Promise<T> {
    const response = await fetch(`${this.#url}/api/v2${path}`, {
      method,
      headers: { authorization: `Bearer ${this.#token}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${await response.clone().text()}`);
    return (await response.json()) as T;
  }

  /** Unpauses the DAG when Airflow has parsed its file, some seconds after the start. */
  async unpause(): Promise<void> {
    for (;;) {
      const { dags } = await this.#call<{ dags: { dag_id: string }[] }>("GET", `/dags?dag_id_pattern=${this.#dag}`);
      if (dags.some(({ dag_id }) => dag_id === this.#dag)) break;
      await systemClock.wait(LOOK_MS);
    }
    await this.#call("PATCH", `/dags/${this.#dag}`, { is_paused: false });
  }

  async importErrors(): Promise<unknown[]> {
    return (await this.#call<{ import_errors: unknown[] }>("GET", "/importErrors")).import_errors;
  }

  async trigger(conf: object = {}): Promise<string> {
    return (await this.#call<DagRun>("POST", `/dags/${this.#dag}/dagRuns`, { logical_date: null, conf })).dag_run_id;
  }

  /** The run of the schedule's last time, when it exists. */
  scheduled(): Promise<string> {
    return this.#firstOf("scheduled");
  }

  /** Starts a backfill of the day; resolves to its run when it exists. */
  async backfill(day: string): Promise<string> {
    const at = `${day}T00:00:00Z`;
    await this.#call("POST", "/backfills", {
      dag_id: this.#dag,
      from_date: at,
      to_date: at,
      reprocess_behavior: "completed",
      max_active_runs: 1,
      dag_run_conf: {},
    });
    return this.#firstOf("backfill");
  }

  async #firstOf(run_type: string): Promise<string> {
    for (;;) {
      const { dag_runs } = await this.#call<{ dag_runs: DagRun[] }>(
        "GET",
        `/dags/${this.#dag}/dagRuns?run_type=${run_type}`,
      );
      if (dag_runs[0] !== undefined) return dag_runs[0].dag_run_id;
      await systemClock.wait(LOOK_MS);
    }
  }

  /** Final state of the run. */
  async end(run_id: string): Promise<string> {
    const give_up_at_ms = performance.now() + RUN_TIMEOUT_MS;
    for (;;) {
      const { state } = await this.#call<DagRun>("GET", `/dags/${this.#dag}/dagRuns/${encodeURIComponent(run_id)}`);
      if (state === "success" || state === "failed") return state;
      if (performance.now() > give_up_at_ms)
        assert.fail(`the run is ${state}: ${JSON.stringify(await this.tasks(run_id))}`);
      await systemClock.wait(LOOK_MS);
    }
  }

  async tasks(run_id: string): Promise<TaskInstance[]> {
    const { task_instances } = await this.#call<{ task_instances: TaskInstance[] }>(
      "GET",
      `/dags/${this.#dag}/dagRuns/${encodeURIComponent(run_id)}/taskInstances`,
    );
    return task_instances.map(({ task_id, state, try_number }) => ({ task_id, state, try_number }));
  }

  /** Log output of the failed tasks, for the message of a failed test. */
  async failures(run_id: string): Promise<string> {
    const failed = (await this.tasks(run_id)).filter(({ state }) => state === "failed");
    const logs = failed.map(async ({ task_id, try_number }) => {
      const run = `/dags/${this.#dag}/dagRuns/${encodeURIComponent(run_id)}`;
      const path = `${run}/taskInstances/${task_id}/logs/${try_number}`;
      const { content } = await this.#call<{ content: { event?: string }[] }>("GET", path);
      return `${task_id}:\n${content.map(({ event = "" }) => event).join("\n")}`;
    });
    return (await Promise.all(logs)).join("\n\n");
  }

  /** Names of the assets for which the run reported events. */
  async assetsOf(run_id: string): Promise<string[]> {
    const { asset_events } = await this.#call<{ asset_events: { name: string; source_run_id: string }[] }>(
      "GET",
      "/assets/events?limit=100",
    );
    return asset_events
      .filter(({ source_run_id }) => source_run_id === run_id)
      .map(({ name }) => name)
      .sort();
  }
}
