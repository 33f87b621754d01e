import { render } from "preact";
import { startRouter } from "./router.ts";
import { watchAlerts } from "./shell/alert-toasts.tsx";
import { App } from "./shell/app.tsx";
import { startStream } from "./state/shared-stream.ts";
import { watchCoins } from "./state/coins.ts";
import { watchStatus } from "./state/status.ts";

const page = document.getElementById("page");
if (page === null) throw new Error("index.html has no element #page");
startRouter();
watchStatus();
watchCoins();
watchAlerts();
startStream();
page.replaceChildren();
render(<App />, page);
