import { base } from "../base.ts";
import { otherPages } from "../pages/registry.ts";
import { path } from "../router.ts";
import { pipelines } from "../state/pipeline.ts";

/** Opens another pipeline of the server, on the same page where both have it. Shown only if there are several. */
export function PipelineSwitch() {
  if (pipelines.value.length < 2) return null;
  const open = (to: string) => {
    if (to !== base) location.assign(to + (otherPages.some((page) => page.path === path.peek()) ? path.peek() : "/"));
  };
  return (
    <select
      class="pipeline-switch"
      aria-label="Pipeline"
      value={base}
      onChange={(event) => open(event.currentTarget.value)}
    >
      {pipelines.value.map(({ name, title, base: to, is_serving }) => (
        <option key={name} value={to}>
          {is_serving ? title : `${title} (not running)`}
        </option>
      ))}
    </select>
  );
}
