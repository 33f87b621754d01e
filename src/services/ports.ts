import { readSetting, type Environment } from "../base/settings.ts";
import { OperatingError } from "../base/errors.ts";
import { freePorts, isListenedOn, listenersOn } from "./machine/port.ts";
import { describeProcess } from "./machine/process.ts";
import type { Service, ServiceName, Port } from "./service.ts";
import { readState } from "./state.ts";

/** `free`: any free ports; otherwise ports from the environment, with the defaults. */
export type PortChoice = "free" | NodeJS.ProcessEnv;

const MAX_PORT = 65_535;

/**
 * The ports of each service. A service that was started and not stopped keeps its ports, even if it died, because
 * clients use them. Throws INVALID_PORT or PORT_TWICE.
 */
export async function choosePorts(
  folder: string,
  services: readonly Service[],
  choice: PortChoice,
): Promise<Map<ServiceName, Record<string, number>>> {
  const chosen = new Map<ServiceName, Record<string, number>>();
  for (const service of services) {
    const known = readState(folder, service.name);
    const numbers =
      choice === "free" ? await freePorts(service.ports.length) : service.ports.map((port) => portFrom(port, choice));
    chosen.set(
      service.name,
      known?.ports ?? Object.fromEntries(service.ports.map(({ name }, index) => [name, numbers[index] ?? 0])),
    );
  }
  checkDistinct([...chosen.values()].flatMap((ports) => Object.entries(ports)));
  return chosen;
}

export function portFrom({ variable, default: fallback }: Port, env: Environment): number {
  const text = readSetting(variable, env);
  if (text === null) return fallback;
  const number = Number(text);
  if (Number.isInteger(number) && number > 0 && number <= MAX_PORT) return number;
  throw new OperatingError("INVALID_PORT", `${variable}: invalid port "${text}"`, {
    next_step: `Set it to a number from 1 to ${MAX_PORT}, or unset it for ${fallback}.`,
  });
}

function checkDistinct(ports: readonly (readonly [name: string, number: number])[]): void {
  for (const [index, [name, number]] of ports.entries()) {
    const other = ports.slice(0, index).find(([, taken]) => taken === number);
    if (other === undefined) continue;
    throw new OperatingError("PORT_TWICE", `The ports "${other[0]}" and "${name}" are both to be ${number}`, {
      next_step: "Give one of them another number; `coinlake cluster up --help` names the variables.",
    });
  }
}

/** Throws PORT_TAKEN with the name of the process that listens. */
export function checkNotTaken(service: Service, ports: Readonly<Record<string, number>>): void {
  for (const { name, variable } of service.ports) {
    const number = ports[name] ?? 0;
    if (!isListenedOn(number)) continue;
    const owners = listenersOn(number).map(describeProcess);
    const owner = owners.length > 0 ? owners.join(" and ") : "a process of another user";
    throw new OperatingError(
      "PORT_TAKEN",
      `${service.title} cannot listen on port ${number}: it is taken by ${owner}`,
      {
        next_step:
          `Stop that process, or put ${service.title} elsewhere: ` +
          `\`cluster down\`, then \`up\` with another number in ${variable}.`,
      },
    );
  }
}
