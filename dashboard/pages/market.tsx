import { Guard } from "../components/guard.tsx";
import { CoinTable } from "./market/coin-table.tsx";
import { Tiles } from "./market/tiles.tsx";

/** The first glance: five questions answered, then every coin. */
export function Market() {
  return (
    <div class="page market">
      <h1 class="unseen">Market</h1>
      <Guard what="The five answers">
        <Tiles />
      </Guard>
      <CoinTable />
    </div>
  );
}
