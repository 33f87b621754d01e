import { OperatingError } from "../../../base/errors.ts";

/** The wire representation of a value. */
export type Shape =
  | { kind: "bool" }
  | { kind: "i32" }
  | { kind: "string" }
  | { kind: "list"; of: Shape }
  | { kind: "map"; key: Shape; value: Shape }
  | { kind: "struct"; struct: Struct };

export interface Struct {
  name: string;
  fields: readonly { id: number; name: string; shape: Shape }[];
}

export interface Method {
  name: string;
  args: Struct;
  /** Field 0 is the answer, if the method has one; the others are its declared exceptions. */
  result: Struct;
}

const SUCCESS = "success";
const DECLARATION = /(struct|exception|service)\s+(\w+)\s*\{([^}]*)\}/g;
const METHOD = /([\w<>, ]+?)\s+(\w+)\(([^)]*)\)(?:\s*throws\s*\(([^)]*)\))?/g;
const FIELD = /(\d+):\s*(\w+(?:<[\w, ]+>)?)\s+(\w+)/g;

/**
 * The methods that a Thrift IDL declares. Supports the part of the language that metastore.thrift needs: structs and
 * exceptions declared before use, one service, and the types bool, i32, string, list, map and structs.
 */
export function parseIdl(text: string): Map<string, Method> {
  const structs = new Map<string, Struct>();
  const methods = new Map<string, Method>();
  for (const [, kind, name = "", body = ""] of text.replaceAll(/\/\/.*$/gm, "").matchAll(DECLARATION)) {
    if (kind !== "service") structs.set(name, { name, fields: fieldsOf(body, structs) });
    else for (const method of methodsOf(body, structs)) methods.set(method.name, method);
  }
  return methods;
}

function methodsOf(body: string, structs: ReadonlyMap<string, Struct>): Method[] {
  return [...body.matchAll(METHOD)].map(([, answer = "", name = "", args = "", exceptions = ""]) => {
    const success = answer.trim() === "void" ? [] : [{ id: 0, name: SUCCESS, shape: shapeOf(answer.trim(), structs) }];
    return {
      name,
      args: { name: `${name}_args`, fields: fieldsOf(args, structs) },
      result: { name: `${name}_result`, fields: [...success, ...fieldsOf(exceptions, structs)] },
    };
  });
}

function fieldsOf(text: string, structs: ReadonlyMap<string, Struct>): Struct["fields"] {
  return [...text.matchAll(FIELD)].map(([, id, type = "", name = ""]) => ({
    id: Number(id),
    name,
    shape: shapeOf(type, structs),
  }));
}

function shapeOf(type: string, structs: ReadonlyMap<string, Struct>): Shape {
  if (type === "bool" || type === "i32" || type === "string") return { kind: type };
  const [, container, of = ""] = /^(list|map)<(.+)>$/.exec(type) ?? [];
  if (container === "list") return { kind: "list", of: shapeOf(of.trim(), structs) };
  if (container === "map") {
    const [key = "", value = ""] = of.split(",");
    return { kind: "map", key: shapeOf(key.trim(), structs), value: shapeOf(value.trim(), structs) };
  }
  const struct = structs.get(type);
  if (struct === undefined) {
    throw new OperatingError("INVALID_IDL", `The Thrift IDL names a type that it does not declare before: ${type}`, {
      next_step: "Restore the .thrift file of this version of the program.",
    });
  }
  return { kind: "struct", struct };
}
