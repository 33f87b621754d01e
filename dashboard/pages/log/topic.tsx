import { useEffect, useRef } from "preact/hooks";
import { useSignal } from "@preact/signals";
import type { Topic } from "../../../src/serve/schemas/log.ts";
import { formatCount } from "../../format/number.ts";
import { Panel } from "../../components/panel.tsx";
import { Missing } from "../../components/figures.tsx";

const RATE_WINDOW_MS = 10_000;

/** Records per second over the last RATE_WINDOW_MS, from the end offsets. */
function useRate(topic: Topic): number | null {
  const seen = useRef<{ at_ms: number; end: number }[]>([]);
  const rate = useSignal<number | null>(null);
  useEffect(() => {
    const end = topic.partitions.reduce((total, partition) => total + partition.end, 0);
    const now = performance.now();
    seen.current = [...seen.current.filter(({ at_ms }) => now - at_ms < RATE_WINDOW_MS), { at_ms: now, end }];
    const oldest = seen.current[0];
    if (oldest && now - oldest.at_ms > 1_500) rate.value = ((end - oldest.end) * 1000) / (now - oldest.at_ms);
  }, [topic]);
  return rate.value;
}

export function TopicFigures({ topic }: { topic: Topic }) {
  const rate = useRate(topic);
  const kept = topic.partitions.reduce((total, { begin, end }) => total + end - begin, 0);
  const ends = topic.partitions.reduce((total, { end }) => total + end, 0);
  const longest = Math.max(1, ...topic.partitions.map(({ begin, end }) => end - begin));
  return (
    <div class="halves even">
      <Panel
        title={topic.topic}
        note={`${formatCount(kept)} of ${formatCount(ends)} records retained in the log; bronze has all`}
        actions={<span class="panel-note">{rate === null ? "measuring …" : `${formatCount(rate)} records/s`}</span>}
        is_flush
      >
        <table class="grid-table">
          <thead>
            <tr>
              <th scope="col">partition</th>
              <th scope="col" class="right">
                first offset
              </th>
              <th scope="col" class="right">
                next offset
              </th>
              <th scope="col">records</th>
            </tr>
          </thead>
          <tbody>
            {topic.partitions.map(({ partition, begin, end }) => (
              <tr key={partition}>
                <td class="figure">{partition}</td>
                <td class="right figure">{formatCount(begin)}</td>
                <td class="right figure">{formatCount(end)}</td>
                <td class="bar-cell" title={`${formatCount(end - begin)} records`}>
                  <span class="h-bar" style={{ width: `${(100 * (end - begin)) / longest}%` }} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Panel>
      <Lag topic={topic} />
    </div>
  );
}

function Lag({ topic }: { topic: Topic }) {
  const greatest = Math.max(1, ...topic.lag.map(({ records }) => records));
  return (
    <Panel title="Consumer lag" note="records between the consumer's offset and the end of the log" is_flush>
      <table class="grid-table">
        <thead>
          <tr>
            <th scope="col">consumer</th>
            <th scope="col" class="right">
              lag
            </th>
            <th scope="col">
              <span class="unseen">bar</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {topic.lag.map(({ consumer, records }) => (
            <tr key={consumer}>
              <td>{consumer}</td>
              <td class="right figure">{records === 0 ? <span class="muted">0</span> : formatCount(records)}</td>
              <td class="bar-cell">
                <span class="h-bar" style={{ width: `${(100 * records) / greatest}%` }} />
              </td>
            </tr>
          ))}
          {topic.lag.length === 0 ? (
            <tr>
              <td colSpan={3}>
                <Missing why="no consumers yet" />
              </td>
            </tr>
          ) : null}
        </tbody>
      </table>
    </Panel>
  );
}
