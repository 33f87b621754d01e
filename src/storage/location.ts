/**
 * One spelling for the locations of one file: engines write `file:///a`, `file:/a`, `file://localhost/a` or `/a`, and `s3a://` or `s3n://`
 * for `s3://`; some percent-encode. For comparing, never for opening: what follows the scheme is otherwise the literal path.
 */
export function canonicalLocation(location: string): string {
  const file = /^(?:file:(?:\/\/(?:localhost)?)?)?(\/.*)$/s.exec(location)?.[1];
  if (file !== undefined) return `file://${file.replaceAll(/\/{2,}/g, "/")}`;
  return location.replace(/^s3[an]:/, "s3:");
}
