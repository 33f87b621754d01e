import type { ComponentChildren } from "preact";
import { hrefOf } from "../../base.ts";
import type { Answer, AnswerPart } from "../../../src/serve/schemas/answers.ts";
import { compareDecimals, formatAmount, formatDecimal, parseDecimal, roundTo, toNumber } from "../../format/decimal.ts";
import { formatFigure, formatCount, formatPercent } from "../../format/number.ts";
import { Amount, Change, flashOf, Missing, Price } from "../../components/figures.tsx";
import { Skeleton } from "../../components/states.tsx";
import { Age, Countdown, Moment } from "../../components/time.tsx";
import { onEvent } from "../../state/events.ts";
import { changeAt, coinOf, nameOfCoin, priceOf } from "../../state/coins.ts";
import { status, status_error } from "../../state/status.ts";
import { useResource } from "../../state/resource.ts";
import { useEffect } from "preact/hooks";

type Row = AnswerPart["rows"][number];

interface TileProps {
  number: number;
  name: string;
  /** The complete question, as a tooltip. */
  question: string;
  figure: ComponentChildren;
  detail: ComponentChildren;
  foot: ComponentChildren;
}

function Tile({ number, name, question, figure, detail, foot }: TileProps) {
  return (
    <article class="tile" aria-label={name}>
      <header class="tile-head">
        <h2 title={question}>{name}</h2>
        <a
          class="tile-sql"
          href={hrefOf(`/sql?question=${number}`)}
          title="The SQL behind this answer"
          aria-label={`SQL behind: ${name}`}
        >
          SQL
        </a>
      </header>
      <div class="tile-figure">{figure}</div>
      <div class="tile-detail">{detail}</div>
      <footer class="tile-foot">{foot}</footer>
    </article>
  );
}

const first = (answer: Answer, part = 0): Row | null => answer.parts[part]?.rows[0] ?? null;
const noteOf = (answer: Answer, part = 0): string => answer.parts[part]?.note ?? "no answer yet";

interface NowProps {
  id: string;
  question: string;
  /** The answer's price; newer ticks take precedence. */
  answered: { price: string | null; price_at: string | null; source: string | null };
  /** Change over the last hour for a price. */
  changeOf: (price: string) => number | null;
}

function PriceNow({ id, question, answered, changeOf }: NowProps) {
  const live = priceOf(id).value;
  const price = live.price ?? answered.price;
  const coin = coinOf(id);
  // The list takes precedence, so that tile and row show the same change.
  const change = price === null ? null : coin === null ? changeOf(price) : changeAt(coin, "1h", price);
  return (
    <Tile
      number={1}
      name={id === "bitcoin" ? "Bitcoin now" : `Bitcoin now (${id})`}
      question={question}
      figure={
        <a href={hrefOf(`/coins/${encodeURIComponent(id)}`)} class={flashOf(live)}>
          <Price value={price} with_unit />
        </a>
      }
      detail={
        <>
          <Change percent={change} why="no price an hour ago" /> <span class="muted">in the last hour</span>
        </>
      }
      foot={
        <>
          <Age at={live.price_at ?? answered.price_at} /> · {live.source ?? answered.source ?? "no source"}
        </>
      }
    />
  );
}

function Now({ answer }: { answer: Answer }) {
  const row = first(answer);
  const id = row?.["crypto_id"] ?? null;
  if (row === null || id === null)
    return (
      <Tile
        number={1}
        name="Bitcoin now"
        question={answer.title}
        figure={<Missing why={noteOf(answer)} />}
        detail={<span class="muted">{noteOf(answer)}</span>}
        foot={<AsOf answer={answer} />}
      />
    );
  const before = row["price_hour_ago"] ?? null;
  // The current price comes from ticks; the price an hour ago comes with the answer.
  const changeOf = (price: string) =>
    before === null ? null : (100 * (toNumber(price) - toNumber(before))) / toNumber(before);
  return (
    <PriceNow
      id={id}
      question={answer.title}
      answered={{ price: row["price_usd"] ?? null, price_at: row["price_at"] ?? null, source: row["source"] ?? null }}
      changeOf={changeOf}
    />
  );
}

/** The same tile from the list of coins, which may load before the answer. */
function NowFromList() {
  const coin = coinOf("bitcoin");
  if (coin === null) return <TileSkeleton name="Bitcoin now" />;
  return <PriceNow id={coin.id} question="Bitcoin now" answered={coin} changeOf={() => coin.change_1h_percent} />;
}

function Volatile({ answer }: { answer: Answer }) {
  const row = first(answer);
  const id = row?.["crypto_id"];
  const percent = row?.["volatility_percent"];
  return (
    <Tile
      number={2}
      name="Most volatile today"
      question={`${answer.title}: standard deviation of one-minute log returns since 00:00 UTC`}
      figure={
        id ? (
          <a href={hrefOf(`/coins/${encodeURIComponent(id)}`)}>{row["symbol"] ?? id}</a>
        ) : (
          <Missing why={noteOf(answer)} />
        )
      }
      detail={
        percent ? (
          <>
            <span class="figure">σ {formatFigure(Number(percent))} %</span>
            <span class="muted"> /min</span>
          </>
        ) : (
          <span class="muted">{row?.["reason"] ? `not measured: ${row["reason"]}` : noteOf(answer)}</span>
        )
      }
      foot={
        row?.["minutes_used"] ? (
          <>{formatCount(Number(row["minutes_used"]))} min since 00:00 UTC</>
        ) : (
          <AsOf answer={answer} />
        )
      }
    />
  );
}

/** How recent a value is, is an age in every tile; a time of day belongs to the question. */
function AsOf({ answer }: { answer: Answer }) {
  return (
    <>
      as of <Age at={answer.as_of} />
    </>
  );
}

function TwoHoursAgo({ answer }: { answer: Answer }) {
  const by_event = first(answer);
  const by_lake = first(answer, 1);
  const [then, held] = [by_event?.["price_usd"] ?? null, by_lake?.["price_usd"] ?? null];
  return (
    <Tile
      number={3}
      name="Ethereum 2 h ago"
      question={
        `${answer.title}: by event time, the price in effect then; ` +
        "by lake time, the newest price that the tables held then"
      }
      figure={<Price value={then} why={noteOf(answer)} with_unit />}
      detail={
        <>
          <span class="muted">the tables held then:</span>{" "}
          {held === null ? (
            <span class="muted" title={noteOf(answer, 1)}>
              no snapshot that old
            </span>
          ) : (
            <Price value={held} />
          )}
          {then !== null && held !== null && compareDecimals(then, held) === 0 ? (
            <span class="muted"> (same)</span>
          ) : null}
        </>
      }
      foot={
        <>
          price of <Moment at={by_event?.["price_at"] ?? null} with_zone />
        </>
      }
    />
  );
}

function Fall({ percent }: { percent: number }) {
  return <span class="down">{formatPercent(-percent)}</span>;
}

function Falls({ answer }: { answer: Answer }) {
  const falls = answer.parts[0]?.rows ?? [];
  const latest = falls.at(-1);
  return (
    <Tile
      number={4}
      name="Falls > 5 % in 10 min"
      question={
        `${answer.title}: episodes of the last 24 hours; ` +
        "each tick is compared with the highest price of the previous ten minutes"
      }
      figure={
        <a href={hrefOf("/alerts")}>
          {falls.length}
          <span class="unit"> in 24 h</span>
        </a>
      }
      detail={
        latest ? (
          <>
            <span class="muted">last</span> <Fall percent={Number(latest["fall_percent"])} />{" "}
            {nameOfCoin(latest["crypto_id"] ?? "")}
          </>
        ) : (
          <span class="muted">no such fall</span>
        )
      }
      foot={latest ? <Age at={latest["fell_at"] ?? null} /> : <AsOf answer={answer} />}
    />
  );
}

function Volumes({ answer }: { answer: Answer }) {
  const rows = answer.parts[0]?.rows ?? [];
  const volumes = rows.map((row) => ({
    symbol: row["symbol"] ?? "?",
    volume: row["volume_usd"] ?? "0",
    basis: row["basis"] ?? "",
  }));
  const total = volumes.reduce(
    (sum, { volume }) =>
      sum +
      (parseDecimal(volume) === null
        ? 0n
        : roundTo(parseDecimal(volume) ?? { is_negative: false, digits: 0n, scale: 0 }, 0).digits),
    0n,
  );
  const greatest = Math.max(...volumes.map(({ volume }) => toNumber(volume)), 1);
  const total_text = formatDecimal({ is_negative: false, digits: total, scale: 0 }).replaceAll(",", "");
  return (
    <Tile
      number={5}
      name="24 h volume, top ten"
      question={answer.title}
      figure={rows.length === 0 ? <Missing why={noteOf(answer)} /> : <Amount value={total_text} with_unit />}
      detail={
        <ol class="bars" aria-label="24 h volume of each coin, in US dollars">
          {volumes.map(({ symbol, volume, basis }) => (
            <li key={symbol} title={`${symbol} ${formatAmount(volume) ?? volume} USD, ${basis}`}>
              <span class="bar" style={{ height: `${Math.max(4, (100 * toNumber(volume)) / greatest)}%` }} />
              <span class="unseen">
                {symbol} {formatAmount(volume)}
              </span>
            </li>
          ))}
        </ol>
      }
      foot={
        volumes[0] ? (
          <>
            {volumes
              .slice(0, 3)
              .map(({ symbol }) => symbol)
              .join(", ")}{" "}
            lead{rows.length > 3 ? ` of ${rows.length}` : ""}
          </>
        ) : (
          <AsOf answer={answer} />
        )
      }
    />
  );
}

/** Each question is a separate request, so that none waits for a slower one. Ticks update the first one too. */
const TILES = [
  { name: "Bitcoin now", Answered: Now, refresh_ms: 5_000 },
  { name: "Most volatile today", Answered: Volatile, refresh_ms: 15_000 },
  { name: "Ethereum 2 h ago", Answered: TwoHoursAgo, refresh_ms: 15_000 },
  { name: "Falls > 5 % in 10 min", Answered: Falls, refresh_ms: 10_000 },
  { name: "24 h volume, top ten", Answered: Volumes, refresh_ms: 15_000 },
] as const;

function TileSkeleton({ name }: { name: string }) {
  return (
    <article class="tile" aria-busy="true" aria-label={name}>
      <div class="tile-head">
        <h2>{name}</h2>
      </div>
      <div class="tile-figure">
        <Skeleton width="9rem" height="1.6rem" />
      </div>
      <div class="tile-detail">
        <Skeleton width="8rem" />
      </div>
      <div class="tile-foot">
        <Skeleton width="6rem" />
      </div>
    </article>
  );
}

interface QuestionProps {
  number: number;
  name: string;
  Answered: (typeof TILES)[number]["Answered"];
  refresh_ms: number;
  /**
   * Whether the lake has prices; null until known. Without prices no request is sent, because the API would reject it.
   */
  has_prices: boolean | null;
}

function Question({ number, name, Answered, refresh_ms, has_prices }: QuestionProps) {
  const resource = useResource<Answer>(has_prices ? `/api/answers/${number}` : null, refresh_ms);
  const { value, error, retry_at_ms } = resource.state.value;
  useEffect(() => onEvent("gap", () => resource.reload()), [resource]);
  const parts = { number, name, question: name };
  if (has_prices === false)
    return (
      <Tile
        {...parts}
        figure={<Missing why="no accepted price yet" />}
        detail={<span class="muted">no price yet</span>}
        foot="appears with the first price"
      />
    );
  if (value === null && error === null) return number === 1 ? <NowFromList /> : <TileSkeleton name={name} />;
  if (value === null) {
    const retrying =
      retry_at_ms === null ? null : (
        <>
          next retry in <Countdown to_ms={retry_at_ms} />
        </>
      );
    return (
      <Tile
        {...parts}
        figure={<Missing why={error?.message ?? ""} />}
        detail={
          <span class="strong-bad" title={error?.message}>
            could not be loaded
          </span>
        }
        foot={retrying}
      />
    );
  }
  // If a refresh fails, the last answer stays, greyed; it shows its own age.
  return error === null ? (
    <Answered answer={value} />
  ) : (
    <div class="tile-stale" title={error.message}>
      <Answered answer={value} />
    </div>
  );
}

/** Answers to the five questions. */
export function Tiles() {
  // Without a status, the request's error gives the reason.
  const has_prices =
    status.value !== null ? status.value.newest_event_at !== null : status_error.value !== null ? true : null;
  return (
    <section class="tiles" aria-label="The five questions">
      {TILES.map(({ name, Answered, refresh_ms }, index) => (
        <Question
          key={name}
          number={index + 1}
          name={name}
          Answered={Answered}
          refresh_ms={refresh_ms}
          has_prices={has_prices}
        />
      ))}
    </section>
  );
}
