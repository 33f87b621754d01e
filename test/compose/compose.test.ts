import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { SERVICES, serviceNamed } from "../../src/services/registry.ts";
import { AIRFLOW_SETTINGS } from "../../src/services/definitions/airflow.ts";
import { BROKER_SETTINGS } from "../../src/services/definitions/kafka.ts";
import { SPARK_SETTINGS } from "../../src/services/definitions/spark.ts";
import { pythonExecutable } from "../../src/lake/tools.ts";

/**
 * Compares the compose file with the specification's schema and with the native launcher: both start the same cluster.
 */
interface Service {
  image: string;
  build?: { dockerfile?: string };
  environment?: Record<string, string>;
  command?: string[];
  ports?: string[];
  volumes?: string[];
  networks: string[];
  restart: string;
  healthcheck?: { test: string[] };
  deploy?: { resources: { limits: { memory: string; pids: number } } };
}
interface Compose {
  services: Record<string, Service>;
  volumes: Record<string, unknown>;
  networks: Record<string, { name: string; external: string }>;
  configs: Record<string, { content: string }>;
}

const FILE = "docker-compose.yml";
const text = readFileSync(FILE, "utf8");
const read = spawnSync(pythonExecutable(), ["test/compose/read.py", FILE, "test/compose/compose-spec.json"], {
  encoding: "utf8",
});
const { services, volumes, networks, configs } = JSON.parse(
  read.stdout || '{"services":{},"volumes":{},"networks":{},"configs":{}}',
) as Compose;
const service = (name: string): Service => services[name] ?? assert.fail(`no service ${name}`);
const dockerfiles = globSync(["**/Dockerfile", "**/*.Dockerfile"], { exclude: ["node_modules/**", ".tools/**"] });
const settings = new Map(
  readFileSync(".env.example", "utf8")
    .split("\n")
    .filter((line) => /^\w+=/.test(line))
    .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
);

test("the compose file is valid by the specification's schema", () => {
  assert.equal(read.status, 0, read.stderr);
  assert.deepEqual(Object.keys(services), [
    "kafka",
    "kafka-ui",
    "minio",
    "postgres",
    "hive",
    "spark",
    "airflow",
    "producers",
    "coinlake",
  ]);
});

for (const { name, title, version, ports } of SERVICES) {
  test(`${title} has the version, the ports and the volumes of the natively started service`, () => {
    const { image, build, ports: published = [], volumes: mounted = [] } = service(name);
    assert.match(image, new RegExp(`:${version.replaceAll(".", "\\.")}`));
    if (build)
      assert.match(readFileSync(build.dockerfile ?? "Dockerfile", "utf8"), new RegExp(`COPY requirements/${name}`));
    // The controller's port connects processes of one machine, and is not published.
    const [client] = ports;
    assert.ok(
      published.length === 1 && published[0]?.startsWith(`127.0.0.1:\${${client?.variable}:-${client?.default}}:`),
      published.join(),
    );
    assert.equal(settings.get(client?.variable ?? ""), String(client?.default));
    // The metastore stores nothing itself: PostgreSQL has its data. Airflow's tasks use Coinlake's data folder.
    assert.equal(mounted.length, { hive: 0, airflow: 2 }[name as string] ?? 1);
  });
}

test("clients find the services by the same variables as natively", () => {
  const secrets = {
    s3_access_key: "key",
    s3_secret_key: "secret",
    postgres_password: "password",
    airflow_password: "password",
    airflow_secret: "secret",
  };
  const ports = Object.fromEntries(
    SERVICES.flatMap((part) => part.ports.map(({ name, default: number }) => [name, number])),
  );
  const provided = Object.fromEntries(SERVICES.map((part) => [part.name, part.provides({ ports, secrets })]));
  const all = { ...provided.kafka, ...provided.minio, ...provided.hive, ...provided.spark };
  // With SPARK_REMOTE set, Spark's server starts as a client and exits.
  assert.equal(service("spark").environment?.SPARK_REMOTE, undefined);
  for (const name of ["coinlake", "producers", "airflow"]) {
    const { environment = {} } = service(name);
    for (const [variable, value] of Object.entries(all)) {
      const found = environment[variable] ?? assert.fail(`${name} lacks ${variable}`);
      if (/_KEY(_ID)?$/.test(variable)) assert.match(found, /^\$\{COINLAKE_S3_\w+_KEY:\?/);
      else assert.equal(filled(found).replace(/\b(kafka|minio|hive|spark):/, "127.0.0.1:"), value, variable);
    }
  }
  for (const name of ["hive", "airflow"]) {
    const { environment = {} } = service(name);
    for (const variable of Object.keys(provided.postgres ?? {})) assert.ok(variable in environment, variable);
    assert.equal(environment.PGUSER, service("postgres").environment?.POSTGRES_USER);
    assert.equal(environment.PGUSER, provided.postgres?.PGUSER);
  }
});

/** Mount path of a service's first volume. */
function mountOf(name: string): string {
  return service(name).volumes?.[0]?.split(":")[1] ?? assert.fail(name);
}

test("data that must outlive a container is in its volume", () => {
  assert.equal(service("kafka").environment?.KAFKA_LOG_DIRS, mountOf("kafka"));
  assert.ok(service("minio").command?.[2]?.endsWith(` ${mountOf("minio")}`));
  // The data paths of the images.
  assert.equal(mountOf("postgres"), "/var/lib/postgresql/data");
  assert.match(readFileSync("docker/airflow.Dockerfile", "utf8"), new RegExp(`AIRFLOW_HOME=${mountOf("airflow")} `));
  for (const name of ["producers", "coinlake"])
    assert.equal(service(name).command?.[(service(name).command?.indexOf("--data") ?? 0) + 1], mountOf(name));
});

/** Replaces every variable with its default. */
function filled(value: string): string {
  return value.replace(/\$\{\w+:-([^}]*)\}/g, "$1");
}

test("the metastore reads the same settings file in Compose and natively, and all its variables are set", () => {
  const site = "src/services/definitions/metastore-site.xml";
  assert.ok(readFileSync("docker/hive.Dockerfile", "utf8").includes(`COPY ${site} `));
  const variables = [...readFileSync(site, "utf8").matchAll(/\$\{env\.(\w+)\}/g)].map(([, name]) => name ?? "");
  const { environment = {} } = service("hive");
  assert.deepEqual(
    variables.filter((name) => !(name in environment)),
    [],
  );
});

test("the broker has the same settings in Compose and natively", () => {
  const { environment = {} } = service("kafka");
  const found = Object.fromEntries(
    Object.keys(BROKER_SETTINGS).map((name) => [name, environment[`KAFKA_${name.toUpperCase().replaceAll(".", "_")}`]]),
  );
  assert.deepEqual(found, BROKER_SETTINGS);
  assert.equal(Buffer.from(environment.CLUSTER_ID ?? "", "base64url").length, 16);
});

test("Spark has the same settings in Compose and natively, and its checkpoints are in its volume", () => {
  const lines = configs["spark-settings"]?.content.trim().split("\n") ?? [];
  const found = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(" ")), line.slice(line.indexOf(" ") + 1)]),
  );
  assert.deepEqual(Object.fromEntries(Object.keys(SPARK_SETTINGS).map((name) => [name, found[name]])), SPARK_SETTINGS);
  assert.ok(found["spark.sql.streaming.checkpointLocation"]?.startsWith(`file://${mountOf("spark")}/`));
  const [least, metaspace] = found["spark.driver.extraJavaOptions"]?.split(" ") ?? [];
  assert.ok(
    readFileSync("src/services/definitions/spark.ts", "utf8").includes(
      `HEAP = ["${least}", "-Xmx${found["spark.driver.memory"]}", "${metaspace}"`,
    ),
  );
});

test("one service produces from the source, and one serves the same source without producing or transforming", () => {
  const { command: producing = [] } = service("producers");
  const { command: following = [] } = service("coinlake");
  const source = (words: string[]) => words[words.indexOf("--source") + 1];
  assert.equal(producing[0], "produce");
  assert.deepEqual(
    [
      following[0],
      following.includes("--no-produce") && following.includes("--no-transform"),
      following[following.indexOf("--profile") + 1],
    ],
    ["start", true, "cluster"],
  );
  assert.equal(source(producing), source(following));
});

test("Airflow has the same settings in Compose and natively, and its own database", () => {
  const { environment = {}, build, ports = [] } = service("airflow");
  assert.deepEqual(
    Object.fromEntries(Object.keys(AIRFLOW_SETTINGS).map((name) => [name, environment[name]])),
    AIRFLOW_SETTINGS,
  );
  assert.match(environment.AIRFLOW__DATABASE__SQL_ALCHEMY_CONN ?? "", /:\/\/coinlake:.+@postgres:5432\/airflow$/);
  assert.ok(
    ports[0]?.endsWith(`:${environment.AIRFLOW__API__PORT}`) &&
      environment.AIRFLOW__CORE__EXECUTION_API_SERVER_URL?.includes(`:${environment.AIRFLOW__API__PORT}/`),
  );
  const dockerfile = readFileSync(build?.dockerfile ?? "", "utf8");
  for (const name of [
    "AIRFLOW_HOME",
    "AIRFLOW__CORE__DAGS_FOLDER",
    "AIRFLOW__CORE__PLUGINS_FOLDER",
    "COINLAKE_CLI",
    "COINLAKE_DATA",
  ])
    assert.match(dockerfile, new RegExp(`\\b${name}=/`), name);
});

test("the servers have the same memory, database and bucket in Compose and natively", () => {
  const source = (name: string) => readFileSync(`src/services/definitions/${name}.ts`, "utf8");
  const heap = (name: string) =>
    /HEAP = \["(-Xms\w+)", "(-Xmx\w+)"/.exec(source(name))?.slice(1).join(" ") ?? assert.fail(name);
  assert.equal(service("kafka").environment?.KAFKA_HEAP_OPTS, heap("kafka"));
  assert.ok(readFileSync("docker/hive.Dockerfile", "utf8").includes(`java ${heap("hive")}`));
  for (const opened of source("hive").match(/"java\.[\w.]+"/g) ?? [])
    assert.ok(
      readFileSync("docker/hive.Dockerfile", "utf8").includes(
        `--add-opens java.base/${opened.slice(1, -1)}=ALL-UNNAMED`,
      ),
      opened,
    );
  assert.match(
    source("postgres"),
    new RegExp(`METASTORE_DATABASE = "${service("postgres").environment?.POSTGRES_DB}"`),
  );
  for (const setting of service("postgres").command?.filter((word) => word.includes("=")) ?? [])
    assert.ok(source("postgres").includes(setting.replace(/(\w+)=(.*)/, '$1: "$2"')), setting);
  assert.ok(service("minio").command?.[2]?.includes(`/data/${/BUCKET = "(\w+)"/.exec(source("minio"))?.[1]} `));
});

test("every variable of the compose file is explained in .env.example, and every variable there is used", () => {
  const used = new Set([...text.matchAll(/(?<!\$)\$\{(\w+)/g)].map(([, name]) => name ?? ""));
  // Docker itself reads this variable.
  used.add("COMPOSE_PROFILES");
  assert.deepEqual([...settings.keys()].sort(), [...used].sort());
  for (const [, name = "", fallback = ""] of text.matchAll(/\$\{(\w+):-([^}]*)\}/g))
    assert.equal(settings.get(name), fallback, name);
});

test("no secret has a value in the repository", () => {
  const secrets = [...settings].filter(([name]) => /KEY|SECRET|PASSWORD|TOKEN/.test(name));
  assert.ok(secrets.length >= 6);
  assert.deepEqual(
    secrets.filter(([, value]) => value !== ""),
    [],
  );
  assert.match(readFileSync(".gitignore", "utf8"), /^\.env$/m);
  assert.match(readFileSync(".dockerignore", "utf8"), /^\.env$/m);
});

test("every service is pinned, has a health check and limits, and is reachable from this machine only", () => {
  for (const [name, { image, networks: joined, restart, healthcheck, deploy, ports = [] }] of Object.entries(
    services,
  )) {
    assert.match(image, /:v?\d[\w.-]*$/, name);
    assert.deepEqual(joined, ["dasnet"], name);
    assert.equal(restart, "unless-stopped", name);
    assert.ok(healthcheck?.test[0] === "CMD" && deploy && deploy.resources.limits.pids > 0, name);
    assert.deepEqual(
      ports.filter((port) => !/^127\.0\.0\.1:\$\{COINLAKE_\w*PORT:-\d+\}:\d+$/.test(port)),
      [],
      name,
    );
  }
  const bytes = { M: 1024 ** 2, G: 1024 ** 3 };
  const memory = Object.values(services).map(
    ({ deploy }) => /^(\d+)([MG])$/.exec(deploy?.resources.limits.memory ?? "") ?? assert.fail("no limit"),
  );
  const total = memory.reduce((sum, [, count, unit]) => sum + Number(count) * bytes[unit as "M" | "G"], 0);
  assert.ok(total <= 12 * 1024 ** 3, `${total / 1024 ** 3} GB`);
});

test("Kafka's UI and Airflow are published on ports 8080 and 8081", () => {
  assert.match(service("kafka-ui").ports?.[0] ?? "", /:-8080\}/);
  assert.match(service("airflow").ports?.[0] ?? "", /:-8081\}/);
});

test("every named volume is declared and used", () => {
  const used = Object.values(services).flatMap(({ volumes: mounted = [] }) =>
    mounted.map((mount) => mount.split(":")[0] ?? ""),
  );
  assert.deepEqual([...new Set(used)].sort(), Object.keys(volumes).sort());
});

test("the network can be an existing one", () => {
  assert.deepEqual(networks, {
    dasnet: { name: "${COINLAKE_NETWORK:-dasnet}", external: "${COINLAKE_NETWORK_EXTERNAL:-false}" },
  });
});

for (const file of dockerfiles) {
  test(`${file} builds on pinned images, copies existing files, and does not run as root`, () => {
    const lines = readFileSync(file, "utf8").split("\n");
    const bases = lines.flatMap((line) => /^FROM (\S+)/.exec(line)?.[1] ?? []);
    assert.ok(bases.length > 0 && bases.every((base) => /:\d+\.\d[\w.-]*$/.test(base)), bases.join(", "));
    const copied = lines.flatMap((line) => /^COPY (?!--from)(?:--\S+ )*(.+) \S+$/.exec(line)?.[1]?.split(" ") ?? []);
    assert.deepEqual(
      copied.filter((path) => !existsSync(path)),
      [],
    );
    assert.notEqual(lines.flatMap((line) => /^USER (\S+)/.exec(line)?.[1] ?? []).at(-1) ?? "root", "root");
  });
}

test("every image that is built has a Dockerfile, and every Dockerfile a service", () => {
  const built = Object.values(services).flatMap(({ build }) => (build ? [build.dockerfile ?? "Dockerfile"] : []));
  assert.deepEqual(built.sort(), dockerfiles.map((file) => file.replaceAll("\\", "/")).sort());
  assert.ok(built.every((file) => existsSync(join(".", file))));
  assert.equal(serviceNamed("minio")?.version, service("minio").image.split(":")[1]);
});
