import { render } from "preact";
import { startRouter } from "./router.ts";
import { watchAlerts } from "./shell/alert-toasts.tsx";
import { App } from "./shell/app.tsx";
import { startStream } from "./state/shared-stream.ts";
import { watchPipeline } from "./state/pipeline.ts";
import { watchStatus } from "./state/status.ts";

const page = document.getElementById("page");
if (page === null) throw new Error("index.html has no element #page");
startRouter();
watchStatus();
watchPipeline();
watchAlerts();
startStream();
page.replaceChildren();
render(<App />, page);
