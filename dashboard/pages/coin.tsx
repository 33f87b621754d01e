import { useSignalEffect } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { hrefOf } from "../base.ts";
import { sentence } from "../../src/base/explain.ts";
import { isInterval } from "./coin/intervals.ts";
import type { Candle, Coin as CoinData } from "../../pipelines/crypto/api/schemas.ts";
import { INTERVALS, type Interval } from "../../src/pipeline/intervals.ts";
import { formatPrice } from "../format/decimal.ts";
import { zoneName } from "../format/time.ts";
import { Badge } from "../components/badge.tsx";
import { Amount, Change, flashOf, Missing, Price } from "../components/figures.tsx";
import { Panel } from "../components/panel.tsx";
import { Empty, Failure, InvalidTime, Skeleton } from "../components/states.tsx";
import { Age, CandleStart, Moment } from "../components/time.tsx";
import { go, lakeTime, parameters, path, segmentOf, setParameters } from "../router.ts";
import type { ApiError } from "../state/api.ts";
import { now_ms } from "../state/clock.ts";
import { changeAt, coinOf, priceOf } from "../state/coins.ts";
import { useResource } from "../state/resource.ts";
import { zone } from "../state/settings.ts";
import { Chart } from "./coin/chart.tsx";
import { CandleFeed } from "./coin/feed.ts";
import { TimeTravel } from "./coin/time-travel.tsx";

const REFRESH_MS = 15_000;
const ROWS_IN_WORDS = 60;

/** Source table of an interval: up to 15 min from the minutes in silver, longer from the hours in gold. */
const tableOf = (interval: Interval) =>
  interval.endsWith("m") ? "silver.crypto_prices_clean" : "gold.fact_crypto_hourly";

export function Coin() {
  const id = segmentOf(path.value, 2);
  const asked = parameters.value.get("interval");
  const interval: Interval = isInterval(asked) ? asked : "1m";
  const at = lakeTime.value;
  const resource = useResource<CoinData>(`/api/coins/${encodeURIComponent(id)}`, REFRESH_MS);
  const { value, error, retry_at_ms } = resource.state.value;
  // The list takes precedence, so that the figures match those on the market page.
  const coin = coinOf(id) ?? value;
  const feed = useMemo(() => new CandleFeed(id, interval, at), [id, interval, at]);
  useEffect(() => {
    feed.start();
    return () => feed.stop();
  }, [feed]);
  const is_other_name = value !== null && value.id !== id;
  useEffect(() => {
    // The URL may name the coin by its symbol or name; prices and candles need its id.
    if (is_other_name) go(`/coins/${encodeURIComponent(value.id)}${location.search}`, { is_replacing: true });
  }, [is_other_name, value]);
  useSignalEffect(() => {
    const price = priceOf(id).value.price;
    document.title = `${price === null ? "" : `${formatPrice(price) ?? ""} `}${coin?.symbol ?? id} · Coinlake`;
  });
  if (
    coin === null &&
    (error?.code === "SUBJECT_NOT_FOUND" || error?.code === "AMBIGUOUS_SUBJECT" || error?.status === 404)
  )
    return <Unknown id={id} error={error} />;
  if (coin === null && error)
    return <Failure what={`The coin ${id}`} error={error} retry_at_ms={retry_at_ms} retry={() => resource.reload()} />;
  const name = coin === null ? id : `${coin.name} (${coin.symbol})`;
  return (
    <div class="page coin">
      <InvalidTime />
      {at === null ? null : <TravelBanner at={at} />}
      <CoinHead coin={coin} id={id} at={at} last={feed.candles.value?.at(-1) ?? null} interval={interval} />
      <Panel
        title="Candles"
        is_flush
        note={`by event time · axis in ${zoneName(zone.value, now_ms.value)} · USD`}
        actions={<Intervals interval={interval} />}
      >
        <Chart key={`${id} ${interval} ${at ?? ""}`} feed={feed} name={name} interval={interval} />
      </Panel>
      <Panel title="Time travel" note={`commits to ${tableOf(interval)}, by lake time`} actions={<Return at={at} />}>
        <TimeTravel table={tableOf(interval)} at={at} travel={(to) => setParameters({ at: to })} />
      </Panel>
      <CandleTable candles={feed.candles.value} interval={interval} id={id} />
    </div>
  );
}

function Unknown({ id, error }: { id: string; error: ApiError }) {
  const is_ambiguous = error.code === "AMBIGUOUS_SUBJECT";
  return (
    <Empty title={is_ambiguous ? `“${id}” is a symbol of several coins` : `Unknown coin “${id}”`}>
      {is_ambiguous ? `${sentence(error.message)} ` : ""}
      {error.code === "NOT_FOUND" ? "" : `${error.next_step} `}A coin appears with its first accepted price. Unmapped
      products are listed under <a href={hrefOf("/quality")}>Quality</a>. <a href={hrefOf("/")}>All coins</a>
    </Empty>
  );
}

function TravelBanner({ at }: { at: string }) {
  return (
    <div class="banner past" role="status">
      <strong>TIME TRAVEL</strong>
      <span>
        You are seeing the tables as of <Moment at={at} is_full /> (lake time); nothing here is live. Candles are shown
        by event time.
      </span>
      <button type="button" class="button small" onClick={() => setParameters({ at: null })}>
        Back to now
      </button>
    </div>
  );
}

function Return({ at }: { at: string | null }) {
  return (
    <button type="button" class="button small" disabled={at === null} onClick={() => setParameters({ at: null })}>
      Back to now
    </button>
  );
}

interface HeadProps {
  coin: CoinData | null;
  id: string;
  at: string | null;
  last: Candle | null;
  interval: Interval;
}

function CoinHead({ coin, id, at, last, interval }: HeadProps) {
  const live = priceOf(id).value;
  const price = at === null ? (live.price ?? coin?.price ?? null) : (last?.close ?? null);
  const price_at = live.price_at ?? coin?.price_at ?? null;
  return (
    <header class="coin-head">
      <div class="coin-title">
        <h1>{coin?.name ?? <Skeleton width="9rem" />}</h1>
        <span class="muted">{coin?.symbol}</span>
        {coin?.rank ? <Badge title="Rank by market capitalisation">#{coin.rank}</Badge> : null}
        {coin?.category ? <Badge>{coin.category}</Badge> : null}
        {coin?.is_delisted ? <Badge tone="warn">delisted</Badge> : null}
      </div>
      <div class="coin-price">
        <span class={at === null ? flashOf(live) : "amber"}>
          <Price value={price} with_unit />
        </span>
      </div>
      <dl class="facts">
        {at === null ? (
          <div>
            <dt>updated</dt>
            <dd>
              <Age at={price_at} /> · {live.source ?? coin?.source ?? "–"}
            </dd>
          </div>
        ) : (
          <div>
            <dt>last candle then</dt>
            <dd>
              {last === null ? <Missing why="no candle by then" /> : <CandleStart at={last.time} interval={interval} />}
            </dd>
          </div>
        )}
        {/* Changes up to now are not shown beside past data. */}
        {at === null ? <Measures coin={coin} price={price} /> : null}
      </dl>
    </header>
  );
}

function Measures({ coin, price }: { coin: CoinData | null; price: string | null }) {
  return (
    <>
      <Fact name="1 h">
        {coin ? <Change percent={changeAt(coin, "1h", price)} why="no price an hour ago" /> : null}
      </Fact>
      <Fact name="24 h">
        {coin ? <Change percent={changeAt(coin, "24h", price)} why="no price 24 hours ago" /> : null}
      </Fact>
      <Fact name="volume 24 h">{coin ? <Amount value={coin.volume_24h} with_unit /> : null}</Fact>
      <Fact name="market cap">{coin ? <Amount value={coin.market_cap} with_unit /> : null}</Fact>
    </>
  );
}

function Fact({ name, children }: { name: string; children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children ?? <Skeleton width="4rem" />}</dd>
    </div>
  );
}

function Intervals({ interval }: { interval: Interval }) {
  return (
    <div class="segments" role="group" aria-label="Candle interval">
      {INTERVALS.map((one) => (
        <button
          key={one}
          type="button"
          aria-pressed={one === interval}
          onClick={() => setParameters({ interval: one })}
        >
          {one}
        </button>
      ))}
    </div>
  );
}

/** The chart's candles as a table, newest first. */
function CandleTable({ candles, interval, id }: { candles: readonly Candle[] | null; interval: Interval; id: string }) {
  const table = `live.${tableOf(interval).split(".")[1] ?? ""}`;
  const sql = [
    `select *\nfrom ${table}\nwhere crypto_id = '${id.replaceAll("'", "''")}'`,
    `order by ${interval.endsWith("m") ? "minute_at" : "hour_at"} desc\nlimit 500`,
  ].join("\n");
  return (
    <details class="panel candle-table">
      <summary>Candles as a table</summary>
      <p class="note">
        The newest {ROWS_IN_WORDS} of {candles?.length ?? 0}.{" "}
        <a href={hrefOf(`/sql?sql=${encodeURIComponent(sql)}`)}>Query more in SQL</a>
      </p>
      <div class="scroll-x" tabIndex={0} role="region" aria-label="The newest candles">
        <table class="grid-table">
          <thead>
            <tr>
              <th scope="col">from</th>
              {["open", "high", "low", "close", "volume", "updates"].map((header) => (
                <th key={header} scope="col" class="right">
                  {header}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {candles
              ?.slice(-ROWS_IN_WORDS)
              .toReversed()
              .map((candle) => (
                <tr key={candle.time}>
                  <td>
                    <CandleStart at={candle.time} interval={interval} />
                  </td>
                  {([candle.open, candle.high, candle.low, candle.close] as const).map((value, index) => (
                    <td key={index} class="right">
                      <Price value={value} />
                    </td>
                  ))}
                  <td class="right">
                    <Amount value={candle.volume} why="no trades reported" />
                  </td>
                  <td class="right figure">{candle.price_updates}</td>
                </tr>
              ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
