import { useComputed, useSignal } from "@preact/signals";
import { Component } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { hrefOf } from "../../base.ts";
import type { Coin } from "../../../pipelines/crypto/api/schemas.ts";
import { formatAge } from "../../format/time.ts";
import { formatCount } from "../../format/number.ts";
import { Amount, Change, flashOf, Missing, Price } from "../../components/figures.tsx";
import { Sparkline } from "../../components/sparkline.tsx";
import { Empty, Failure, SkeletonRows } from "../../components/states.tsx";
import { bothZones } from "../../components/time.tsx";
import { moveThroughRows } from "../../components/rows.ts";
import { go, parameters, setParameters } from "../../router.ts";
import { now_ms } from "../../state/clock.ts";
import { coins, coins_error, coins_retry_at_ms, changeAt, priceOf } from "../../state/coins.ts";
import { arrange, COLUMNS, isSort, type Sort } from "./sorting.ts";

/** Age after which a price is greyed. */
const STALE_PRICE_MS = 5 * 60_000;
/** Rows of the first render; the others follow, so that the page shows at once. */
const FIRST_ROWS = 40;

function PriceCell({ coin }: { coin: Coin }) {
  const live = priceOf(coin.id).value;
  const price = live.price ?? coin.price;
  return (
    <td class={`col-price ${flashOf(live)}`}>
      <Price value={price} />
    </td>
  );
}

/** The change, relative to the live price. */
function ChangeCell({ coin, over }: { coin: Coin; over: "1h" | "24h" }) {
  const percent = changeAt(coin, over, priceOf(coin.id).value.price);
  return (
    <td class={over === "1h" ? "col-hour" : "col-day"}>
      <Change percent={percent} why={over === "1h" ? "no price an hour ago" : "no price 24 hours ago"} />
    </td>
  );
}

function SourceCell({ coin }: { coin: Coin }) {
  const source = priceOf(coin.id).value.source ?? coin.source;
  return <td class="col-source muted">{source ?? <Missing why="no price yet" />}</td>;
}

function AgeCell({ coin }: { coin: Coin }) {
  const live = priceOf(coin.id).value;
  const at = live.price_at ?? coin.price_at;
  if (at === null) {
    return (
      <td class="col-age">
        <Missing why="no price yet" />
      </td>
    );
  }
  const age_ms = now_ms.value - Date.parse(at);
  const is_stale = age_ms > STALE_PRICE_MS;
  const source = live.source ?? coin.source ?? "?";
  return (
    <td
      class={`col-age figure ${is_stale ? "is-old" : "muted"}`}
      title={`${is_stale ? "No newer price since" : "Price at"} ${bothZones(Date.parse(at))}, from ${source}`}
    >
      {formatAge(age_ms)}
    </td>
  );
}

interface RowProps {
  coin: Coin;
  is_marked: boolean;
  index: number;
}

/** A row that renders again only if its coin or selection changes; live cells update by themselves. */
class Row extends Component<RowProps> {
  override shouldComponentUpdate({ coin, is_marked, index }: RowProps): boolean {
    return coin !== this.props.coin || is_marked !== this.props.is_marked || index !== this.props.index;
  }

  override render({ coin, is_marked, index }: RowProps) {
    return <CoinRow coin={coin} is_marked={is_marked} index={index} />;
  }
}

function CoinRow({ coin, is_marked, index }: RowProps) {
  return (
    <tr class={coin.is_delisted ? "is-delisted" : ""} tabIndex={is_marked ? 0 : -1} data-row={index} data-id={coin.id}>
      <td class="col-rank figure muted">
        {coin.rank ?? <Missing why={coin.is_delisted ? "delisted" : "no rank provided by the source"} />}
      </td>
      <td class="col-name">
        <a href={hrefOf(`/coins/${encodeURIComponent(coin.id)}`)} tabIndex={-1}>
          <span class="coin-symbol">{coin.symbol}</span> <span class="coin-name">{coin.name}</span>
        </a>
        {coin.is_delisted ? <span class="badge warn">delisted</span> : null}
      </td>
      <PriceCell coin={coin} />
      <ChangeCell coin={coin} over="1h" />
      <ChangeCell coin={coin} over="24h" />
      <td class="col-volume">
        <Amount value={coin.volume_24h} />
      </td>
      <td class="col-cap">
        <Amount value={coin.market_cap} />
      </td>
      <td class="col-category muted">{coin.category ?? <Missing why="no category provided by the source" />}</td>
      <SourceCell coin={coin} />
      <AgeCell coin={coin} />
      <td class="col-line">
        <Sparkline prices={coin.sparkline} label={`${coin.name}, last 24 hours`} />
      </td>
    </tr>
  );
}

function Head({ sort, is_ascending }: { sort: Sort; is_ascending: boolean }) {
  const choose = (column: (typeof COLUMNS)[number]) => {
    const next = column.sort === sort ? !is_ascending : column.is_ascending_first;
    setParameters({ sort: column.sort, order: next ? "asc" : "desc" });
  };
  return (
    <thead>
      <tr>
        {COLUMNS.map((column) => (
          <th
            key={column.sort}
            scope="col"
            class={column.class}
            aria-sort={column.sort === sort ? (is_ascending ? "ascending" : "descending") : undefined}
          >
            <button type="button" onClick={() => choose(column)}>
              {column.sort === sort ? (
                <span class="sort-mark" aria-hidden="true">
                  {is_ascending ? "↑" : "↓"}
                </span>
              ) : null}
              {column.header}
            </button>
          </th>
        ))}
        <th scope="col" class="col-line">
          24 h
        </th>
      </tr>
    </thead>
  );
}

function Search({ text, found, total }: { text: string; found: number; total: number | null }) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (parameters.peek().get("focus") === "search") {
      input.current?.focus();
      setParameters({ focus: null });
    }
  }, []);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape") {
      setParameters({ q: null });
      input.current?.blur();
    } else if (event.key === "ArrowDown" || event.key === "Enter") {
      event.preventDefault();
      document.querySelector<HTMLElement>(".coins [data-row='0']")?.focus();
    }
  };
  return (
    <div class="table-bar">
      <label class="search">
        <span class="unseen">Filter coins</span>
        <input
          ref={input}
          type="search"
          placeholder="Name, symbol, category"
          value={text}
          onInput={(event) => setParameters({ q: event.currentTarget.value || null })}
          onKeyDown={onKeyDown}
        />
        <kbd aria-hidden="true">/</kbd>
      </label>
      <span class="muted" aria-live="polite">
        {total === null
          ? "loading …"
          : text === ""
            ? `${formatCount(total)} coins`
            : `${formatCount(found)} of ${formatCount(total)} coins`}
      </span>
    </div>
  );
}

/** Whether no coin has a price of 24 hours ago: a phone, which has one column of changes, then shows the last hour. */
function isYoung(list: readonly Coin[] | null): boolean {
  return list !== null && list.every(({ change_24h_percent }) => change_24h_percent === null);
}

/** All coins: sortable, filterable, with keyboard navigation. */
export function CoinTable() {
  const marked = useSignal(0);
  const shown = useSignal(FIRST_ROWS);
  const search = parameters.value.get("q") ?? "";
  const asked = parameters.value.get("sort");
  const sort: Sort = isSort(asked) ? asked : "rank";
  const is_ascending = (parameters.value.get("order") ?? "asc") === "asc";
  const list = useComputed(() => {
    const asked = parameters.value.get("sort");
    return coins.value === null
      ? null
      : arrange(
          coins.value,
          parameters.value.get("q") ?? "",
          isSort(asked) ? asked : "rank",
          (parameters.value.get("order") ?? "asc") === "asc",
        );
  }).value;
  const error = coins_error.value;
  useEffect(() => {
    if (list !== null) setTimeout(() => (shown.value = Infinity), 60);
  }, [list === null]);
  const onKeyDown = (event: KeyboardEvent) => {
    moveThroughRows(event, list?.length ?? 0, marked, (index) => {
      const coin = list?.[index];
      if (coin) go(`/coins/${encodeURIComponent(coin.id)}`);
    });
  };
  if (list === null && error !== null)
    return (
      <Failure
        what="The list of coins"
        error={error}
        retry_at_ms={coins_retry_at_ms.value}
        still="The dashboard retries automatically."
      />
    );
  return (
    <section class="panel coins" aria-label="Coins">
      <Search text={search} found={list?.length ?? 0} total={coins.value?.length ?? null} />
      <table
        class={`grid-table ${error ? "stale" : ""} ${isYoung(list) ? "is-young" : ""}`}
        aria-busy={list === null}
        onKeyDown={onKeyDown}
      >
        <Head sort={sort} is_ascending={is_ascending} />
        <tbody>
          {list === null ? (
            <SkeletonRows rows={14} classes={[...COLUMNS.map((column) => column.class), "col-line"]} />
          ) : null}
          {list?.slice(0, shown.value).map((coin, index) => (
            <Row
              key={coin.id}
              coin={coin}
              index={index}
              is_marked={index === Math.min(marked.value, list.length - 1)}
            />
          ))}
        </tbody>
      </table>
      {list?.length === 0 ? <NoCoins search={search} /> : null}
    </section>
  );
}

function NoCoins({ search }: { search: string }) {
  if (search !== "") {
    return (
      <Empty title={`No coin matches “${search}”`}>
        <button type="button" class="button" onClick={() => setParameters({ q: null })}>
          Show all coins
        </button>
      </Empty>
    );
  }
  return (
    <Empty title="No coins yet">
      Coins appear with their first accepted price, moments after a source connects. To try the dashboard without a
      source, run <code>npm start -- --source simulated</code>.
    </Empty>
  );
}
