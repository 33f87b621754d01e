// Runs before the first paint. Applies the stored theme, so that the dashboard does not flash in the wrong colours, and
// preloads the page's modules in parallel with the main module.
const chosen = localStorage.getItem("coinlake.theme");
if (chosen === "dark" || chosen === "light") document.documentElement.dataset["theme"] = chosen;

// As in `base.ts`, whose import would be one more request.
const before = document.documentElement.dataset["base"] ?? "";
const path = location.pathname.slice(before.length) || "/";
// The start page depends on the server's pipeline; the last one is most likely still the one.
const start_page = localStorage.getItem(`coinlake.start_page${before === "" ? "" : ` ${before}`}`) ?? "";
const pages = JSON.parse(document.currentScript?.dataset["pages"] ?? "{}") as Record<string, string[]>;
const address = Object.keys(pages).find((begin) => (begin === "/coins/" ? path.startsWith(begin) : path === begin));
const page = path === "/" ? start_page : (address ?? "");
for (const module of pages[page] ?? []) {
  const link = document.createElement("link");
  link.rel = "modulepreload";
  link.href = module;
  document.head.append(link);
}
