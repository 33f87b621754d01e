import { useSignal, type Signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import type { Message, Messages, Topic } from "../../../src/serve/schemas/log.ts";
import { formatBytes, formatCount } from "../../format/number.ts";
import { Empty, Failure, SkeletonRows } from "../../components/states.tsx";
import { moveThroughRows } from "../../components/rows.ts";
import { Moment } from "../../components/time.tsx";
import { zoneName } from "../../format/time.ts";
import { ApiError, get, pathOf } from "../../state/api.ts";
import { Loader } from "../../state/resource.ts";
import { zone } from "../../state/settings.ts";
import { Payload } from "./payload.tsx";

const REFRESH_MS = 1_000;
const PAGE = 50;
const SETTLE_MS = 250;

const keyOf = ({ partition, offset }: Message) => `${partition}/${offset}`;

interface View {
  search: string;
  partition: string;
  /** First offset to show; null for the newest messages. */
  offset: string | null;
}

/** A live tail of messages; it can be paused, filtered and started at any offset. */
export function Tail({ topic }: { topic: Topic }) {
  const view = useSignal<View>({ search: "", partition: "", offset: null });
  const is_paused = useSignal(false);
  const open = useSignal<string | null>(null);
  const older = useSignal<readonly Message[]>([]);
  const older_next = useSignal<string | null | undefined>(undefined);
  const { search, partition, offset } = view.value;
  const base = `/api/log/topics/${encodeURIComponent(topic.topic)}/messages`;
  const path = pathOf(base, { limit: PAGE, search, partition, offset });
  // The tail pauses while a message is open, so that the message does not move.
  const is_held = is_paused.value || open.value !== null || offset !== null || older.value.length > 0;
  const tail = useMemo(() => new Loader<Messages>(path, is_held ? null : REFRESH_MS), [path, is_held]);
  const shown = useSignal<Messages | null>(null);
  useEffect(() => {
    const stop = tail.state.subscribe(({ value }) => {
      if (value !== null) shown.value = value;
    });
    if (!is_held || shown.peek() === null || offset !== null) tail.start();
    return () => {
      stop();
      tail.stop();
    };
  }, [tail]);
  useEffect(() => {
    shown.value = null;
    older.value = [];
    older_next.value = undefined;
    open.value = null;
  }, [path]);
  const loadOlder = async () => {
    const cursor = older_next.value ?? shown.value?.next ?? null;
    if (cursor === null) return;
    try {
      const page = await get<Messages>(pathOf(base, { limit: PAGE, search, partition, offset, cursor }));
      older.value = [...older.value, ...page.items];
      older_next.value = page.next;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
  };
  const { error, retry_at_ms } = tail.state.value;
  const known = new Set((shown.value?.items ?? []).map(keyOf));
  const messages =
    shown.value === null
      ? null
      : [...shown.value.items, ...older.value.filter((message) => !known.has(keyOf(message)))];
  const has_more = (older_next.value === undefined ? shown.value?.next : older_next.value) != null;
  return (
    <>
      <Controls topic={topic} view={view} is_paused={is_paused} scanned={shown.value?.scanned ?? null} />
      {error !== null && messages === null ? (
        <Failure what="The messages" error={error} retry_at_ms={retry_at_ms} retry={() => tail.reload()} />
      ) : null}
      <MessageList messages={messages} base={base} open={open} search={search} />
      {has_more && (messages?.length ?? 0) > 0 ? (
        <p class="more">
          <button type="button" class="button small" onClick={() => void loadOlder()}>
            {offset === null ? "Older messages" : "Newer messages"}
          </button>
        </p>
      ) : null}
    </>
  );
}

interface ControlsProps {
  topic: Topic;
  view: Signal<View>;
  is_paused: Signal<boolean>;
  scanned: number | null;
}

function Controls({ topic, view, is_paused, scanned }: ControlsProps) {
  const typed = useSignal(view.value.search);
  useEffect(() => {
    const wait = setTimeout(() => {
      if (view.peek().search !== typed.peek()) view.value = { ...view.peek(), search: typed.peek() };
    }, SETTLE_MS);
    return () => clearTimeout(wait);
  }, [typed.value]);
  const { offset, partition, search } = view.value;
  return (
    <div class="table-bar">
      <button
        type="button"
        class="button"
        aria-pressed={is_paused.value}
        disabled={offset !== null}
        onClick={() => (is_paused.value = !is_paused.value)}
      >
        {is_paused.value ? "Resume" : "Pause"}
      </button>
      <label class="search">
        <span class="unseen">Filter messages</span>
        <input
          type="search"
          placeholder="Payload or key contains"
          value={typed.value}
          onInput={(event) => (typed.value = event.currentTarget.value)}
        />
        <kbd aria-hidden="true">/</kbd>
      </label>
      <label class="pick">
        <span class="muted">partition</span>
        <select
          value={partition}
          onChange={(event) => (view.value = { ...view.value, partition: event.currentTarget.value })}
        >
          <option value="">all</option>
          {topic.partitions.map((one) => (
            <option key={one.partition} value={String(one.partition)}>
              {one.partition}
            </option>
          ))}
        </select>
      </label>
      <label class="pick">
        <span class="muted">from offset</span>
        <input
          type="number"
          min="0"
          placeholder="newest"
          value={offset ?? ""}
          onChange={(event) => {
            const text = event.currentTarget.value;
            view.value = {
              ...view.value,
              offset: text === "" ? null : text,
              partition: text !== "" && partition === "" ? String(topic.partitions[0]?.partition ?? 0) : partition,
            };
          }}
        />
      </label>
      <span class="muted" aria-live="polite">
        {offset !== null ? "oldest first" : is_paused.value ? "paused" : "newest first"}
        {search !== "" && scanned !== null ? `; searched ${formatCount(scanned)} records` : ""}
      </span>
    </div>
  );
}

interface ListProps {
  messages: readonly Message[] | null;
  base: string;
  open: Signal<string | null>;
  search: string;
}

function MessageList({ messages, base, open, search }: ListProps) {
  const marked = useSignal(0);
  if (messages?.length === 0) return <NoMessages search={search} />;
  const toggle = (message: Message | undefined) => {
    if (message) open.value = open.value === keyOf(message) ? null : keyOf(message);
  };
  return (
    <table
      class="grid-table messages"
      aria-busy={messages === null}
      onKeyDown={(event) => moveThroughRows(event, messages?.length ?? 0, marked, (index) => toggle(messages?.[index]))}
    >
      <MessageColumns />
      <tbody>
        {messages === null ? (
          <SkeletonRows
            rows={14}
            classes={["col-at", "right col-offset", "col-from", "col-key", "col-payload", "right col-size"]}
          />
        ) : null}
        {messages?.map((message, index) => {
          const is_open = open.value === keyOf(message);
          return [
            <MessageRow
              key={keyOf(message)}
              message={message}
              index={index}
              is_marked={index === marked.value}
              is_open={is_open}
              toggle={() => toggle(message)}
            />,
            is_open ? (
              <tr key={`${keyOf(message)} open`} class="opened">
                <td colSpan={6}>
                  <Payload message={message} base={base} />
                </td>
              </tr>
            ) : null,
          ];
        })}
      </tbody>
    </table>
  );
}

function NoMessages({ search }: { search: string }) {
  if (search === "")
    return <Empty title="No messages yet">Messages appear as soon as a source sends them, before validation.</Empty>;
  return (
    <Empty title={`No message contains “${search}”`}>
      The search covers a limited number of records; query bronze in SQL for older ones.
    </Empty>
  );
}

function MessageColumns() {
  return (
    <thead>
      <tr>
        <th scope="col" class="col-at">
          received <span class="unit">{zoneName(zone.value, Date.now())}</span>
        </th>
        <th scope="col" class="right col-offset">
          offset
        </th>
        <th scope="col" class="col-from">
          source
        </th>
        <th scope="col" class="col-key">
          key
        </th>
        <th scope="col">payload</th>
        <th scope="col" class="right col-size">
          size
        </th>
      </tr>
    </thead>
  );
}

interface RowProps {
  message: Message;
  index: number;
  is_marked: boolean;
  is_open: boolean;
  toggle: () => void;
}

function MessageRow({ message, index, is_marked, is_open, toggle }: RowProps) {
  return (
    <tr data-row={index} tabIndex={is_marked ? 0 : -1} onClick={toggle} class={is_open ? "is-chosen" : ""}>
      <td class="col-at">
        <Moment at={message.ingested_at} with_ms />
      </td>
      <td class="right figure col-offset">
        <button type="button" class="link plain" tabIndex={-1} aria-expanded={is_open}>
          <span class="muted">{message.partition}/</span>
          {message.offset}
        </button>
      </td>
      <td class="col-from">{message.source}</td>
      <td class="col-key">{message.key}</td>
      <td class="col-payload">
        <code>{message.encoding === "base64" ? `(binary) ${message.payload}` : message.payload.slice(0, 300)}</code>
      </td>
      <td class="right figure muted col-size">{formatBytes(message.size_bytes)}</td>
    </tr>
  );
}
