/**
 * A rule as JSON, with the ids of the subjects that it names by symbol or name. What is no list of texts stays as it is: the rule's schema
 * says what is wrong with it. Subjects that the rule had before stay too, whether or not the lake still knows them. Throws what `resolve`
 * throws.
 */
export async function withSubjectIds(json: unknown, before: unknown, resolve: (given: string) => Promise<string>): Promise<unknown> {
  if (typeof json !== "object" || json === null || !("subjects" in json) || !Array.isArray(json.subjects)) return json;
  const given: unknown[] = json.subjects;
  const kept = new Set(Array.isArray(before) ? before : []);
  const ids = await Promise.all(given.map((subject) => (typeof subject === "string" && subject !== "" && !kept.has(subject) ? resolve(subject) : subject)));
  return { ...json, subjects: [...new Set(ids)] };
}
