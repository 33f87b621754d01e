import { Guard } from "../components/guard.tsx";
import { CoinTable } from "./market/coin-table.tsx";
import { Tiles } from "./market/tiles.tsx";

/** The start page: answers to the five questions, then all coins. */
export function Market() {
  return (
    <div class="page market">
      <h1 class="unseen">Market</h1>
      <Guard what="The answers">
        <Tiles />
      </Guard>
      <CoinTable />
    </div>
  );
}
