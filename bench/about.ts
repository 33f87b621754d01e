/** What each benchmark measures, and its options, as `npm run -s bench -- --help` prints them. */
export const ABOUT: Record<string, string> = {
  ingest: "log to bronze: backlog, appends and commits",
  replay: "a recording to tested gold, as a process",
  increment: "dbt increments on a lake of some hours",
  durable: "commit and increment time with the catalog's fsyncs and without",
  live: "1,000 trades a second: arrival to view, alert and event",
  answers: "the five questions and candles over millions of rows",
  pages: "pages in a browser",
  kafka: "Kafka beside the SQLite log",
  spark: "Spark beside one process, log to bronze",
  verify:
    "verify and verify --deep over a large lake, and what checksums cost a commit\n" +
    "  --rows N       rows in bronze (default: 10,000,000)\n" +
    "  --folder DIR   keep the lake there, and use it again",
  orders:
    "files of orders to tested gold, as a process, beside DuckDB's read_json to Parquet and a cluster\n" +
    "  --orders N     orders (default: 100,000)\n" +
    "  --files N      files (default: 200)\n" +
    "  --no-spark     leave the cluster out",
  soak:
    "hours of `start` in real time beside tabs and outside readers\n" +
    "  --pipeline P   pipelines, separated by commas (default: crypto)\n" +
    "  --minutes N    length (default: 120)\n" +
    "  --every N      minutes between rows (default: 10)\n" +
    "  --out FILE     write rows and errors as JSON",
  day:
    "a day of commits, increments and maintenance in simulated time\n" +
    "  --hours N      simulated hours (default: 24)\n" +
    "  --days N       simulated days, instead of --hours\n" +
    "  --light        DuckDB writes the tables instead of dbt (minutes instead of hours)\n" +
    "  --chart        write docs/benchmarks/lake-day.svg and .json\n" +
    "  --out FILE     write the samples as JSON",
  compaction:
    "compaction: throughput, memory, write amplification, Spark, live freshness beside it\n" +
    "  --mb N         input of the throughput measurement (default: 300)\n" +
    "  --commits N    commits of the amplification measurement (default: 2,000)\n" +
    "  --seconds N    of each live measurement; 0 leaves both out (default: 600)\n" +
    "  --no-spark     leave Spark out",
};
