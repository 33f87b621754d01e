import { openSqliteLog } from "../../../src/log/sqlite/log.ts";
import { message } from "../contract.ts";

/** Another process that appends: FILE, number of records. */
const [file = "", count] = process.argv.slice(2);
const log = openSqliteLog({ file });
for (let i = 0; i < Number(count); i += 1) await log.append("t", [message("there")]);
await log.close();
