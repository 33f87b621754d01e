import { readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { OperatingError } from "../../base/errors.ts";

export interface Account {
  uid: number;
  gid: number;
}

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** Null where the machine has no such user. */
export function accountNamed(name: string): Account | null {
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((entry) => entry.startsWith(`${name}:`));
  const [, , uid, gid] = line?.split(":") ?? [];
  return uid === undefined || gid === undefined ? null : { uid: Number(uid), gid: Number(gid) };
}

/** Throws FOLDER_CLOSED where the user may not enter the folder or one above it. */
export function checkMayEnter(name: string, { uid, gid }: Account, folder: string): void {
  for (let path = folder; ; path = dirname(path)) {
    const { mode, uid: owner, gid: group } = statSync(path);
    const bit = owner === uid ? 0o100 : group === gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) {
      throw new OperatingError(
        "FOLDER_CLOSED",
        `The user "${name}" may not pass through ${path}, below which its data are to lie`,
        {
          next_step:
            `Name a folder elsewhere with --data, open that one (\`chmod o+x ${path}\`), ` +
            "or run this as another user than root.",
        },
      );
    }
    if (path === dirname(path)) return;
  }
}
