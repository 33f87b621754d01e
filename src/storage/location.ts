/**
 * One spelling for the locations of one file: engines write `file:///a`, `file:/a`, `file://localhost/a` or `/a`, and `s3a://` or `s3n://`
 * for `s3://`; some percent-encode. For comparing, never for opening: what follows the scheme is otherwise the literal path.
 */
export function canonicalLocation(location: string): string {
  const spelled = location.startsWith("/") ? FILE_SCHEME + location : canonicalScheme(location);
  return spelled.startsWith(FILE_SCHEME)
    ? FILE_SCHEME + spelled.slice(FILE_SCHEME.length).replaceAll(/\/{2,}/g, "/")
    : spelled;
}

const FILE_SCHEME = "file://";

/** The location with one spelling for its scheme; the path stays as it is, and one without a scheme is not given one. */
export function canonicalScheme(location: string): string {
  return location.replace(/^file:(?:\/\/(?:localhost)?)?(?=\/)/i, FILE_SCHEME).replace(/^s3[an]?:\/\//i, "s3://");
}
