/**
 * The canonical spelling of a location. Engines write `file:///a`, `file:/a`, `file://localhost/a` or `/a`, and
 * `s3a://` or `s3n://` for `s3://`; some percent-encode. Only for comparing, not for opening: otherwise the text after
 * the scheme is the literal path.
 */
export function canonicalLocation(location: string): string {
  const spelled = location.startsWith("/") ? FILE_SCHEME + location : canonicalScheme(location);
  return spelled.startsWith(FILE_SCHEME)
    ? FILE_SCHEME + spelled.slice(FILE_SCHEME.length).replaceAll(/\/{2,}/g, "/")
    : spelled;
}

const FILE_SCHEME = "file://";

/** The location with the canonical scheme. The path stays unchanged, and a location without a scheme gets none. */
export function canonicalScheme(location: string): string {
  return location.replace(/^file:(?:\/\/(?:localhost)?)?(?=\/)/i, FILE_SCHEME).replace(/^s3[an]?:\/\//i, "s3://");
}
