/** A coin of the simulated market. Prices and caps are round starting values of a walk, not quotes. */
export interface Coin {
  id: string;
  symbol: string;
  name: string;
  /** Price in USD around which the walk moves. */
  price_usd: number;
  /** Coins in circulation. */
  supply: number;
  /** Volatility relative to Bitcoin's; almost zero for a stablecoin. */
  volatility: number;
}

const NAMED: readonly [
  id: string,
  symbol: string,
  name: string,
  price_usd: number,
  supply: number,
  volatility: number,
][] = [
  ["bitcoin", "btc", "Bitcoin", 67_000, 19_700_000, 1],
  ["ethereum", "eth", "Ethereum", 3_500, 120_100_000, 1.2],
  ["dogwifcoin", "wif", "dogwifhat", 2.1, 998_900_000, 2.6],
  ["tether", "usdt", "Tether", 1, 112_000_000_000, 0.01],
  ["shiba-inu", "shib", "Shiba Inu", 0.000_018_4, 589_000_000_000_000, 2],
  ["baby-doge-coin", "babydoge", "Baby Doge Coin", 0.000_000_012, 160_000_000_000_000_000 / 1000, 2.4],
  ["solana", "sol", "Solana", 148, 464_000_000, 1.6],
  ["ripple", "xrp", "XRP", 0.49, 55_600_000_000, 1.3],
  ["dogecoin", "doge", "Dogecoin", 0.125, 144_900_000_000, 1.9],
  ["pepe", "pepe", "Pepe", 0.000_011_7, 420_690_000_000_000, 2.5],
  ["binancecoin", "bnb", "BNB", 590, 147_500_000, 1.1],
  ["usd-coin", "usdc", "USDC", 1, 32_400_000_000, 0.01],
  ["cardano", "ada", "Cardano", 0.39, 35_700_000_000, 1.4],
  ["tron", "trx", "TRON", 0.119, 87_200_000_000, 0.9],
  ["avalanche-2", "avax", "Avalanche", 28.6, 393_900_000, 1.6],
  ["chainlink", "link", "Chainlink", 13.9, 608_000_000, 1.5],
  ["polkadot", "dot", "Polkadot", 6.1, 1_430_000_000, 1.5],
  ["bitcoin-cash", "bch", "Bitcoin Cash", 385, 19_720_000, 1.4],
  ["near", "near", "NEAR Protocol", 5.2, 1_090_000_000, 1.8],
  ["litecoin", "ltc", "Litecoin", 72.4, 74_700_000, 1.2],
  ["uniswap", "uni", "Uniswap", 9.4, 599_900_000, 1.7],
  ["internet-computer", "icp", "Internet Computer", 8.1, 465_000_000, 1.7],
  ["dai", "dai", "Dai", 1, 5_300_000_000, 0.02],
  ["ethereum-classic", "etc", "Ethereum Classic", 23.1, 147_700_000, 1.4],
  ["aptos", "apt", "Aptos", 6.8, 456_000_000, 1.8],
  ["monero", "xmr", "Monero", 166, 18_440_000, 1],
  ["render-token", "render", "Render", 7.3, 389_000_000, 1.9],
  ["stellar", "xlm", "Stellar", 0.092, 29_200_000_000, 1.2],
  ["hedera-hashgraph", "hbar", "Hedera", 0.077, 35_700_000_000, 1.5],
  ["arbitrum", "arb", "Arbitrum", 0.81, 3_220_000_000, 1.8],
  ["crypto-com-chain", "cro", "Cronos", 0.093, 26_600_000_000, 1.2],
  ["cosmos", "atom", "Cosmos Hub", 6.9, 390_900_000, 1.5],
  ["filecoin", "fil", "Filecoin", 4.4, 563_000_000, 1.6],
  ["maker", "mkr", "Maker", 2_420, 930_000, 1.6],
  ["injective-protocol", "inj", "Injective", 23.5, 97_700_000, 1.9],
  ["vechain", "vet", "VeChain", 0.026, 80_900_000_000, 1.5],
  ["immutable-x", "imx", "Immutable", 1.52, 1_520_000_000, 1.8],
  ["optimism", "op", "Optimism", 1.74, 1_110_000_000, 1.8],
  ["sui", "sui", "Sui", 0.89, 2_500_000_000, 2],
  ["the-graph", "grt", "The Graph", 0.2, 9_500_000_000, 1.7],
  ["arweave", "ar", "Arweave", 27.8, 65_400_000, 1.9],
  ["bonk", "bonk", "Bonk", 0.000_023_1, 67_600_000_000_000, 2.5],
  ["fantom", "ftm", "Fantom", 0.61, 2_800_000_000, 1.9],
  ["floki", "floki", "FLOKI", 0.000_17, 9_650_000_000_000, 2.4],
  ["thorchain", "rune", "THORChain", 4.3, 335_700_000, 1.9],
  ["theta-token", "theta", "Theta Network", 1.49, 1_000_000_000, 1.6],
  ["aave", "aave", "Aave", 91, 14_870_000, 1.6],
  ["algorand", "algo", "Algorand", 0.138, 8_190_000_000, 1.4],
  ["celestia", "tia", "Celestia", 7.1, 192_700_000, 2],
  ["quant-network", "qnt", "Quant", 76.4, 14_540_000, 1.3],
  ["worldcoin-wld", "wld", "Worldcoin", 2.7, 270_000_000, 2.3],
];

/**
 * The market's coins: well-known ones first, then as many invented ones as needed. The first two are never delisted.
 */
export function roster(coins: number): Coin[] {
  return Array.from({ length: coins }, (_, index) => {
    const named = NAMED[index];
    if (named === undefined) return invented(index + 1);
    const [id, symbol, name, price_usd, supply, volatility] = named;
    return { id, symbol, name, price_usd, supply, volatility };
  });
}

function invented(number: number): Coin {
  const digits = String(number).padStart(4, "0");
  const price_usd = 10 ** ((number % 9) - 5);
  return {
    id: `simcoin-${digits}`,
    symbol: `sim${digits}`,
    name: `Simcoin ${number}`,
    price_usd,
    supply: 5e9 / price_usd / number,
    volatility: 1.5,
  };
}
