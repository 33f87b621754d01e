// Runs before the first paint, on its own: a page that starts in the wrong colours blinks.
const chosen = localStorage.getItem("coinlake.theme");
if (chosen === "dark" || chosen === "light") document.documentElement.dataset["theme"] = chosen;
