import type { ComponentChildren } from "preact";

interface PanelProps {
  title: string;
  /** One line beside the title. */
  note?: ComponentChildren;
  actions?: ComponentChildren;
  children: ComponentChildren;
  class?: string;
  /** Omits the body's padding, for tables and charts. */
  is_flush?: boolean;
}

export function Panel({ title, note, actions, children, is_flush = false, class: name = "" }: PanelProps) {
  return (
    <section class={`panel ${name}`} aria-label={title}>
      <header class="panel-head">
        <h2>{title}</h2>
        {note ? <span class="panel-note">{note}</span> : null}
        {actions ? <span class="panel-actions">{actions}</span> : null}
      </header>
      <div class={is_flush ? "panel-body flush" : "panel-body"}>{children}</div>
    </section>
  );
}

export function PageHead({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <header class="page-head">
      <h1>{title}</h1>
      {children ? <div class="page-lead">{children}</div> : null}
    </header>
  );
}
