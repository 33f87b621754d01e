import { resolve, describeType, type OpenApi, type Schema } from "./openapi.ts";

const MAX_DEPTH = 6;

/** A schema as nested lists of names, types and descriptions. */
export function Tree({ schema, api, depth = 0 }: { schema: Schema; api: OpenApi; depth?: number }) {
  const own = resolve(schema, api);
  if (depth > MAX_DEPTH) return null;
  if (own.allOf) {
    return (
      <>
        {own.allOf.map((part, index) => (
          <Tree key={index} schema={part} api={api} depth={depth} />
        ))}
      </>
    );
  }
  if (own.type === "array" && own.items) return <Tree schema={own.items} api={api} depth={depth} />;
  const properties = Object.entries(own.properties ?? {});
  if (properties.length === 0) return depth === 0 ? <p class="note">{describeType(own)}</p> : null;
  return (
    <ul class="tree">
      {properties.map(([name, property]) => (
        <li key={name}>
          <code>{name}</code>
          {own.required?.includes(name) ? null : <span class="muted">?</span>}{" "}
          <span class="muted">{describeType(property)}</span>{" "}
          {(property.description ?? resolve(property, api).description) || null}
          {nested(property, api).map((inner, index) => (
            <Tree key={index} schema={inner} api={api} depth={depth + 1} />
          ))}
        </li>
      ))}
    </ul>
  );
}

/** The object schemas of a property: its own, its items' or its alternatives'. */
function nested(schema: Schema, api: OpenApi): Schema[] {
  const own = resolve(schema, api);
  if (own.properties || own.allOf) return [own];
  if (own.items) return nested(own.items, api);
  return (own.anyOf ?? own.oneOf ?? []).flatMap((choice) => nested(choice, api));
}
