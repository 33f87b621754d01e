import { before } from "node:test";
import { HiveStore } from "../../../src/catalog/hive/store.ts";
import { s3SettingsFrom } from "../../../src/storage/s3/settings.ts";
import { describeCatalogStore } from "../../catalog/store-contract.ts";
import { makeBucket } from "../s3.ts";

const uri = process.env["HIVE_METASTORE_URI"] ?? "";
let warehouse = "";
before(async () => {
  warehouse = `s3://${await makeBucket(s3SettingsFrom(process.env))}/warehouse`;
});

describeCatalogStore("the Hive Metastore", async () => {
  const store = new HiveStore({ uri, warehouse });
  return {
    store,
    is_nesting: false,
    warehouse,
    unusual_name: "b_2",
    openAnother: async () => new HiveStore({ uri, warehouse }),
    close: () => store.close(),
  };
});
