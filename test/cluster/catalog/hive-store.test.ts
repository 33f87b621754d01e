import { after, before } from "node:test";
import { HiveStore } from "../../../src/catalog/hive/store.ts";
import { describeCatalogStore } from "../../catalog/store-contract.ts";
import { Servers } from "../servers.ts";

let servers: Servers;
before(async () => {
  servers = await Servers.start("hive");
});
after(() => servers.leave());

describeCatalogStore("the Hive Metastore", async () => {
  const { COINLAKE_HIVE_URI: uri = "", COINLAKE_WAREHOUSE: warehouse = "" } = servers.environment;
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
