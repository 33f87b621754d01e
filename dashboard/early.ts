// Runs before the first paint. Applies the stored theme, so that the dashboard does not flash in the wrong colours, and
// preloads the page's modules in parallel with the main module.
const chosen = localStorage.getItem("coinlake.theme");
if (chosen === "dark" || chosen === "light") document.documentElement.dataset["theme"] = chosen;

const pages = JSON.parse(document.currentScript?.dataset["pages"] ?? "{}") as Record<string, string[]>;
const address = Object.keys(pages).find((begin) =>
  begin === "/coins/" ? location.pathname.startsWith(begin) : location.pathname === begin,
);
for (const module of address === undefined ? [] : (pages[address] ?? [])) {
  const link = document.createElement("link");
  link.rel = "modulepreload";
  link.href = module;
  document.head.append(link);
}
