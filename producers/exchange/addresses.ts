import { OperatingError } from "../../src/base/errors.ts";

/**
 * Checks that a source's address is encrypted or on this machine; otherwise third parties could change prices. Returns
 * the address without a trailing slash. Throws INVALID_ADDRESS; `name` is the setting's name.
 */
export function checkedAddress(name: string, text: string, scheme: "ws" | "http"): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  const is_plain = url !== null && url.username === "" && url.password === "" && url.search === "" && url.hash === "";
  const is_secure = url?.protocol === `${scheme}s:`;
  const is_local = url?.protocol === `${scheme}:` && isLoopback(url.hostname);
  if (is_plain && (is_secure || is_local)) return text.replace(/\/+$/, "");
  throw new OperatingError(
    "INVALID_ADDRESS",
    `Invalid ${name}: it must be a ${scheme}s:// address, or a ${scheme}:// address of this machine`,
    {
      next_step: `Unset ${name}, or give it the form ${scheme}s://host/path.`,
    },
  );
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname);
}
