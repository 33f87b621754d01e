import { status } from "../state/status.ts";

export function Footer() {
  const now = status.value;
  return (
    <footer class="foot">
      <span>
        {now === null
          ? "Coinlake"
          : `${now.product} ${now.version} · lake ${now.lake.name} · pipeline ${now.lake.pipeline}`}
      </span>
      <span>
        Data by the sources named beside each price; ranks and market caps by{" "}
        <a href="https://www.coingecko.com/" rel="noreferrer" target="_blank">
          CoinGecko
        </a>
        . Charts by{" "}
        <a href="https://www.tradingview.com/" rel="noreferrer" target="_blank">
          TradingView Lightweight Charts™
        </a>
        .
      </span>
    </footer>
  );
}
