import { hrefOf } from "../base.ts";
import { pages } from "../pages/registry.ts";
import { formatClock, formatDate, zoneName } from "../format/time.ts";
import { path } from "../router.ts";
import { now_ms } from "../state/clock.ts";
import { theme, toggleTheme, toggleZone, zone } from "../state/settings.ts";
import { status } from "../state/status.ts";
import { is_help_open } from "./keys.tsx";
import { PipelineSwitch } from "./pipeline-switch.tsx";

function isCurrent(page_path: string): boolean {
  return page_path === "/" ? path.value === "/" || path.value.startsWith("/coins/") : path.value.startsWith(page_path);
}

function Menu() {
  const active = status.value?.alerts_active ?? 0;
  return (
    <nav class="menu" aria-label="Pages">
      {pages.value.map(({ name, path: to, load, key }) => (
        <a
          key={to}
          href={hrefOf(to)}
          class="menu-item"
          aria-current={isCurrent(to) ? "page" : undefined}
          title={`${name} (g then ${key})`}
          onPointerEnter={() => void load()}
          onFocus={() => void load()}
        >
          {name}
          {name === "Alerts" && active > 0 ? (
            <span class="count" aria-label={`${active} active`}>
              {active}
            </span>
          ) : null}
        </a>
      ))}
    </nav>
  );
}

function Clock() {
  const other = zone.value === "utc" ? "local time" : "UTC";
  return (
    <button
      type="button"
      class="tool clock"
      onClick={toggleZone}
      title={`${formatDate(now_ms.value, zone.value)} ${zoneName(zone.value, now_ms.value)}; click for ${other}`}
    >
      <span class="figure">{formatClock(now_ms.value, zone.value)}</span>{" "}
      <span class="unit">{zoneName(zone.value, now_ms.value)}</span>
      <span class="unseen">: current time; click to show times in {other}</span>
    </button>
  );
}

const THEMES = { system: "◐", dark: "●", light: "○" } as const;

export function Header() {
  return (
    <header class="top">
      <a class="brand" href={hrefOf("/")} aria-label="Coinlake, start page">
        <svg width="20" height="20" viewBox="0 0 32 32" aria-hidden="true">
          <circle cx="16" cy="11" r="6" />
          <path d="M3 21c3.2-2.6 6.5-2.6 8.7 0s5.4 2.6 8.6 0 5.5-2.6 8.7 0" />
          <path d="M3 27c3.2-2.6 6.5-2.6 8.7 0s5.4 2.6 8.6 0 5.5-2.6 8.7 0" />
        </svg>
        <span class="brand-name">Coinlake</span>
      </a>
      <PipelineSwitch />
      <Menu />
      <div class="tools">
        <Clock />
        <button
          type="button"
          class="tool"
          onClick={toggleTheme}
          title={`Theme: ${theme.value}; click to change`}
          aria-label={`Theme: ${theme.value}`}
        >
          <span aria-hidden="true">{THEMES[theme.value]}</span>
        </button>
        <button
          type="button"
          class="tool help-tool"
          onClick={() => (is_help_open.value = true)}
          title="Keyboard shortcuts (?)"
          aria-label="Keyboard shortcuts"
        >
          <span aria-hidden="true">?</span>
        </button>
      </div>
    </header>
  );
}
