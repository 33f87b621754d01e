import { openSqliteLog } from "../../../src/log/sqlite/log.ts";
import { message } from "../contract.ts";

/** A second process that appends. Arguments: FILE, number of records, and any third argument to leave the log open. */
const [file = "", count, leave_open] = process.argv.slice(2);
const log = openSqliteLog({ file });
for (let i = 0; i < Number(count); i += 1) await log.append("t", [message("there")]);
if (leave_open === undefined) await log.close();
