import { pipeline } from "../state/pipeline.ts";
import { status } from "../state/status.ts";

export function Footer() {
  const now = status.value;
  const credit = pipeline.value?.credit ?? null;
  return (
    <footer class="foot">
      <span>
        {now === null
          ? "Coinlake"
          : `${now.product} ${now.version} · lake ${now.lake.name} · pipeline ${now.lake.pipeline}`}
      </span>
      <span>
        {credit === null ? null : (
          <>
            {credit.text}{" "}
            <a href={credit.url} rel="noreferrer" target="_blank">
              {credit.name}
            </a>
            .{" "}
          </>
        )}
        Charts by{" "}
        <a href="https://www.tradingview.com/" rel="noreferrer" target="_blank">
          TradingView Lightweight Charts™
        </a>
        .
      </span>
    </footer>
  );
}
