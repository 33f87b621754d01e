import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { after, test } from "node:test";
import { environmentIn } from "../../src/cli/context.ts";
import { clusterFolder, writeEnvironment } from "../../src/services/state.ts";
import { s3SettingsFrom } from "../../src/storage/s3/settings.ts";
import { temporaryFolder } from "../support/coinlake.ts";

const folder = temporaryFolder();
after(() => folder.remove());

mkdirSync(clusterFolder(folder.path), { recursive: true });
writeEnvironment(clusterFolder(folder.path), {
  AWS_ENDPOINT_URL_S3: "http://127.0.0.1:9000",
  AWS_ACCESS_KEY_ID: "cluster",
  AWS_SECRET_ACCESS_KEY: "cluster-secret",
  AWS_REGION: "us-east-1",
  COINLAKE_HIVE_URI: "thrift://127.0.0.1:9083",
});

const SHELL = {
  AWS_ACCESS_KEY_ID: "shell",
  AWS_SECRET_ACCESS_KEY: "shell-secret",
  AWS_SESSION_TOKEN: "token",
  AWS_PROFILE: "work",
  AWS_REGION: "eu-west-1",
};

test("the keys, region and token of a shell without an endpoint are not used for the cluster's S3", () => {
  const env = environmentIn(folder.path, {
    ...SHELL,
    AWS_ENDPOINT_URL_S3: "",
    COINLAKE_HIVE_URI: "thrift://elsewhere:9083",
  });
  assert.deepEqual(s3SettingsFrom(env), {
    endpoint: "http://127.0.0.1:9000",
    region: "us-east-1",
    access_key_id: "cluster",
    secret_access_key: "cluster-secret",
    session_token: null,
  });
  assert.equal(env["AWS_PROFILE"], undefined);
  assert.equal(env["COINLAKE_HIVE_URI"], "thrift://elsewhere:9083", "what is not of S3 is taken one by one");
});

test("the cluster's keys are not used for the S3 endpoint that the shell names", () => {
  for (const name of ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]) {
    const endpoint = "https://s3.example.org";
    const env = environmentIn(folder.path, { ...SHELL, [name]: endpoint });
    assert.deepEqual(s3SettingsFrom(env), {
      endpoint,
      region: "eu-west-1",
      access_key_id: "shell",
      secret_access_key: "shell-secret",
      session_token: "token",
    });
    assert.throws(() => s3SettingsFrom(environmentIn(folder.path, { [name]: endpoint })), {
      code: "S3_CREDENTIALS_MISSING",
    });
  }
});

test("without a cluster, the shell's S3 settings are used", () => {
  assert.equal(s3SettingsFrom(environmentIn(clusterFolder(folder.path), SHELL)).access_key_id, "shell");
});
