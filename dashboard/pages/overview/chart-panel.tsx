import { useSignal, type Signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { INTERVAL_S, type Interval } from "../../../src/pipeline/intervals.ts";
import type { ChartInfo, ChartValues } from "../../../src/serve/schemas/charts.ts";
import type { SeriesChart } from "../../charts/series-chart.ts";
import { Missing } from "../../components/figures.tsx";
import { Panel } from "../../components/panel.tsx";
import { Empty, Failure, Skeleton } from "../../components/states.tsx";
import { CandleStart } from "../../components/time.tsx";
import { formatExact, toNumber } from "../../format/decimal.ts";
import { parameters, setParameters } from "../../router.ts";
import { pathOf } from "../../state/api.ts";
import { now_ms } from "../../state/clock.ts";
import { onEvent } from "../../state/events.ts";
import { pipelineInfo } from "../../state/pipeline.ts";
import { useResource, type Resource } from "../../state/resource.ts";
import { LINE_COLOURS, palette, zone } from "../../state/settings.ts";
import { subjects } from "../../state/subjects.ts";
import { intervalText, summaryOf } from "./summary.ts";
import { formatSum } from "./value.tsx";

const REFRESH_MS = 5_000;
/** Intervals shown. */
const LIMIT = 120;
const MAX_LINES = LINE_COLOURS.length;
/** Subjects in the list; the others can be chosen in the URL. */
const MAX_SUBJECTS = 500;

/** A chart of the pipeline with its interval and subject, which the URL keeps. */
export function ChartPanel({ chart }: { chart: ChartInfo }) {
  const asked = parameters.value.get(`${chart.name}.interval`);
  const interval = chart.intervals.find((one) => one === asked) ?? chart.intervals[0] ?? "1m";
  const subject = chart.has_subject_option ? parameters.value.get(`${chart.name}.subject`) : null;
  const path = pathOf(`/api/charts/${chart.name}`, { interval, subject, limit: LIMIT });
  const resource = useResource<ChartValues>(path, REFRESH_MS);
  useEffect(() => onEvent("gap", () => resource.reload()), [resource]);
  const state = resource.state.value;
  return (
    <Panel
      title={chart.title}
      note={chart.description}
      actions={
        <>
          {chart.has_subject_option ? <SubjectPicker chart={chart} subject={subject} /> : null}
          <IntervalPicker chart={chart} interval={interval} />
        </>
      }
      is_flush
      class="chart-panel"
    >
      <Values chart={chart} state={state} retry={() => resource.reload()} />
    </Panel>
  );
}

function IntervalPicker({ chart, interval }: { chart: ChartInfo; interval: Interval }) {
  return (
    <span class="segments" role="group" aria-label={`Interval of ${chart.title}`}>
      {chart.intervals.map((one) => (
        <button
          key={one}
          type="button"
          aria-pressed={one === interval}
          onClick={() => setParameters({ [`${chart.name}.interval`]: one === chart.intervals[0] ? null : one })}
        >
          {one}
        </button>
      ))}
    </span>
  );
}

function SubjectPicker({ chart, subject }: { chart: ChartInfo; subject: string | null }) {
  const { noun, plural } = pipelineInfo().subject;
  const listed = subjects.value.filter(({ is_gone }) => !is_gone).slice(0, MAX_SUBJECTS);
  const is_listed = subject === null || listed.some(({ id }) => id === subject);
  return (
    <label class="pick">
      <span class="unseen">
        {noun} of {chart.title}
      </span>
      <select
        value={subject ?? ""}
        onChange={(event) => setParameters({ [`${chart.name}.subject`]: event.currentTarget.value || null })}
      >
        <option value="">all {plural}</option>
        {is_listed ? null : <option value={subject}>{subject}</option>}
        {listed.map(({ id, name }) => (
          <option key={id} value={id}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

interface ValuesProps {
  chart: ChartInfo;
  state: Resource<ChartValues>;
  retry: () => void;
}

function Values({ chart, state, retry }: ValuesProps) {
  const pointed = useSignal<number | null>(null);
  const last = useRef<ChartValues | null>(null);
  if (state.value !== null) last.current = state.value;
  // While another interval or subject loads, the last values stay, greyed.
  const shown = state.value ?? (state.error === null ? last.current : null);
  const has_points = shown !== null && shown.series.some(({ points }) => points.length > 0);
  const { drawing, container, failure } = useDrawing(chart, shown, pointed);
  return (
    <div class={state.value === null || state.error !== null ? "loaded stale" : "loaded"}>
      <Legend chart={chart} values={shown} pointed={pointed} />
      {failure.value === null ? null : (
        <p class="form-error" role="alert">
          The chart could not be loaded. {failure.value}
        </p>
      )}
      <div class="chart-frame">
        {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- arrow keys move between the intervals */}
        <div
          ref={container}
          class="chart"
          tabIndex={0}
          role="group"
          aria-label={
            shown === null ? `${chart.title}: loading` : summaryOf(chart, shown, pipelineInfo().subject.plural)
          }
          onKeyDown={keyHandler(shown, pointed, drawing)}
        />
        {has_points ? null : <Overlay chart={chart} state={state} retry={retry} />}
      </div>
    </div>
  );
}

/** Draws the values. The chart library is loaded on first use, so that the tiles do not wait for it. */
function useDrawing(chart: ChartInfo, shown: ChartValues | null, pointed: Signal<number | null>) {
  const container = useRef<HTMLDivElement>(null);
  const drawing = useSignal<SeriesChart | null>(null);
  const failure = useSignal<string | null>(null);
  useEffect(() => {
    let made: SeriesChart | null = null;
    let is_wanted = true;
    const open = async () => {
      try {
        const library = await import("../../charts/series-chart.ts");
        if (!is_wanted || container.current === null) return;
        made = new library.SeriesChart(container.current, chart.kind);
        made.onPointed((at_ms) => (pointed.value = at_ms));
        drawing.value = made;
      } catch (error) {
        failure.value = String(error);
      }
    };
    void open();
    return () => {
      is_wanted = false;
      drawing.value = null;
      made?.remove();
    };
  }, []);
  useEffect(() => {
    if (drawing.value === null || shown === null || shown.from === null || shown.to === null) return;
    drawing.value.show({
      series: shown.series.slice(0, MAX_LINES),
      from_ms: Date.parse(shown.from),
      to_ms: Date.parse(shown.to),
      step_s: INTERVAL_S[shown.interval],
      now_ms: now_ms.peek(),
    });
  }, [drawing.value, shown, palette.value, zone.value]);
  return { container, drawing, failure };
}

/** Arrows, Page and Home/End select an interval, Escape deselects. */
function keyHandler(
  values: ChartValues | null,
  pointed: Signal<number | null>,
  drawing: Signal<SeriesChart | null>,
): (event: KeyboardEvent) => void {
  return (event) => {
    const points = values?.series[0]?.points ?? [];
    if (points.length === 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const last = points.length - 1;
    const at = points.findIndex(({ time }) => Date.parse(time) === pointed.value);
    const steps: Record<string, number> = {
      ArrowLeft: -1,
      ArrowRight: 1,
      PageUp: -20,
      PageDown: 20,
      Home: -points.length,
      End: points.length,
    };
    const step = steps[event.key];
    if (step !== undefined) {
      // Without a selection, an arrow selects the newest interval.
      const from = at >= 0 ? at : Math.abs(step) === 1 ? last - step : last;
      const point = points[Math.min(last, Math.max(0, from + step))];
      if (point) {
        pointed.value = Date.parse(point.time);
        drawing.value?.point(pointed.value, toNumber(point.value));
      }
    } else if (event.key === "Escape") {
      pointed.value = null;
      drawing.value?.unpoint();
    } else return;
    event.preventDefault();
  };
}

interface LegendProps {
  chart: ChartInfo;
  values: ChartValues | null;
  pointed: Signal<number | null>;
}

/** The values of the interval under the pointer, else of the newest one. */
function Legend({ chart, values, pointed }: LegendProps) {
  const newest = values?.series.map(({ points }) => points.at(-1)?.time ?? "").reduce((a, b) => (a > b ? a : b), "");
  const at_ms = pointed.value ?? (newest ? Date.parse(newest) : null);
  if (values === null || at_ms === null) return <div class="legend">&nbsp;</div>;
  const is_running = at_ms + INTERVAL_S[values.interval] * 1000 > now_ms.value;
  return (
    <div class="legend" aria-live="polite">
      <span>
        <CandleStart at={new Date(at_ms).toISOString()} interval={values.interval} />
      </span>
      {values.series.slice(0, MAX_LINES).map(({ name, points }, index) => {
        const value = points.find(({ time }) => Date.parse(time) === at_ms)?.value;
        return (
          <span key={name}>
            {name === "" ? null : (
              <>
                <span
                  class="swatch"
                  style={{ background: `var(--${LINE_COLOURS[index % LINE_COLOURS.length] ?? "accent"})` }}
                />{" "}
                {name}{" "}
              </>
            )}
            {value === undefined ? (
              <Missing why="no value in this interval" />
            ) : (
              <strong class="figure" title={`${formatExact(value)} ${chart.unit}`}>
                {formatSum(value)}
              </strong>
            )}{" "}
            <span class="unit">{chart.unit}</span>
          </span>
        );
      })}
      <span class="muted">
        in {intervalText(values.interval)}
        {is_running ? ", so far" : ""}
      </span>
      {values.series.length > MAX_LINES ? (
        <span class="muted">
          the first {MAX_LINES} of {values.series.length} series
        </span>
      ) : null}
    </div>
  );
}

/** What covers a chart without values: a skeleton, an error or an empty state. */
function Overlay({ chart, state, retry }: ValuesProps) {
  const { value, error, retry_at_ms } = state;
  return (
    <div class="chart-over">
      {value !== null ? (
        <Empty title="No values yet">The first interval appears with the first event that counts for the chart.</Empty>
      ) : error === null ? (
        <Skeleton height="100%" />
      ) : (
        <Failure what={chart.title} error={error} retry_at_ms={retry_at_ms} retry={retry} />
      )}
    </div>
  );
}
