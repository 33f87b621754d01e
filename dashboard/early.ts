// Runs before the first paint, on its own, because both would be too late after it: a page that starts in the wrong colours
// blinks, and one that learns of its modules from its first module waits for them twice.
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
