import { randomUUID } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { OperatingError } from "../../base/errors.ts";
import { fetchWithMaven } from "../fetch/maven.ts";
import { probe } from "../machine/probe.ts";
import { findJava, log4jProperties } from "../machine/java.ts";
import { runTool } from "../machine/tool.ts";
import { servicePort, type Service, type ServiceContext } from "../service.ts";
import { makeFolder } from "../../base/folder.ts";

const VERSION = "4.3.0";
const HEAP = ["-Xms256m", "-Xmx512m", "-XX:+UseG1GC"];
const PURPOSE = "runs Kafka";
const API_VERSIONS = 18;

/** Kafka: one broker that is also its own controller (KRaft). */
export const kafka: Service = {
  name: "kafka",
  title: "Kafka",
  version: VERSION,
  needs: [],
  ports: [
    servicePort("kafka", "COINLAKE_KAFKA_PORT"),
    servicePort("kafka-controller", "COINLAKE_KAFKA_CONTROLLER_PORT"),
  ],
  stop_signal: "SIGTERM",

  async fetch(cache) {
    findJava(PURPOSE);
    return { folder: await fetchWithMaven(cache, "kafka", VERSION), version: VERSION };
  },

  async configure(context) {
    makeFolder(dataFolder(context));
    writeFileSync(join(context.folder, "log4j2.properties"), log4jProperties(context.folder));
    writeFileSync(join(context.folder, "server.properties"), serverProperties(context));
    if (existsSync(join(dataFolder(context), "meta.properties"))) return;
    // Kafka's ids are UUIDs in 22 characters of URL-safe base64. Option and id are one argument: Kafka would parse a
    // separate id that begins with "-" as an option.
    const id = Buffer.from(randomUUID().replaceAll("-", ""), "hex").toString("base64url");
    const args = [
      ...jvm(context),
      "kafka.tools.StorageTool",
      "format",
      `--cluster-id=${id}`,
      "-c",
      join(context.folder, "server.properties"),
    ];
    await runTool(findJava(PURPOSE), args, {
      failed: (last_lines) =>
        new OperatingError(
          "SERVICE_NOT_CONFIGURED",
          `Kafka's new folder ${dataFolder(context)} could not be formatted:\n${last_lines}`,
          {
            next_step: "Check that the disk has free space and the folder may be written, then run this again.",
          },
        ),
    });
  },

  command: (context) => ({
    program: findJava(PURPOSE),
    args: [...HEAP, ...jvm(context), "kafka.Kafka", join(context.folder, "server.properties")],
  }),

  /** A broker answers the ApiVersions request only once it accepts requests. */
  async isHealthy({ ports }) {
    const answer = await probe(ports.kafka ?? 0, apiVersionsRequest());
    // Fields: length, correlation id, error code (kafka.apache.org/protocol: ApiVersions Response, version 0).
    return answer.length >= 10 && answer.readInt16BE(8) === 0;
  },

  provides: ({ ports }) => ({ COINLAKE_KAFKA_BROKERS: `127.0.0.1:${ports.kafka}` }),
};

function dataFolder(context: ServiceContext): string {
  return join(context.folder, "data");
}

function jvm(context: ServiceContext): string[] {
  return [`-Dlog4j2.configurationFile=${join(context.folder, "log4j2.properties")}`, "-cp", join(context.files, "*")];
}

/**
 * Settings that do not depend on folders and addresses, for a single broker that stores every internal topic. The
 * Docker profile uses the same ones.
 */
export const BROKER_SETTINGS: Readonly<Record<string, string>> = {
  "process.roles": "broker,controller",
  "node.id": "1",
  "controller.listener.names": "CONTROLLER",
  "inter.broker.listener.name": "PLAINTEXT",
  "auto.create.topics.enable": "false",
  "offsets.topic.replication.factor": "1",
  "offsets.topic.num.partitions": "8",
  "transaction.state.log.replication.factor": "1",
  "transaction.state.log.min.isr": "1",
  "transaction.state.log.num.partitions": "8",
  "share.coordinator.state.topic.replication.factor": "1",
  "share.coordinator.state.topic.min.isr": "1",
  "group.initial.rebalance.delay.ms": "0",
  "num.network.threads": "2",
  "num.io.threads": "4",
};

function serverProperties(context: ServiceContext): string {
  const broker = `127.0.0.1:${context.ports.kafka}`;
  const controller = `127.0.0.1:${context.ports["kafka-controller"]}`;
  const settings = {
    ...BROKER_SETTINGS,
    // Set here and not in the log's metadata, so that the port may change between two starts.
    "controller.quorum.voters": `1@${controller}`,
    listeners: `PLAINTEXT://${broker},CONTROLLER://${controller}`,
    "advertised.listeners": `PLAINTEXT://${broker}`,
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "log.dirs": dataFolder(context),
  };
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("");
}

function apiVersionsRequest(): Buffer {
  const request = Buffer.alloc(14);
  request.writeInt32BE(10, 0);
  request.writeInt16BE(API_VERSIONS, 4);
  request.writeInt16BE(0, 6);
  request.writeInt32BE(1, 8);
  // Null client id.
  request.writeInt16BE(-1, 12);
  return request;
}
