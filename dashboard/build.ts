import { createHash, type Hash } from "node:crypto";
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { extname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import type { Metafile, Plugin } from "esbuild";
import { toolsFolder } from "../src/lake/tools.ts";

/** A built file of the dashboard, in the form in which the server sends it. */
export interface Asset {
  body: Buffer;
  /** The compressed body; null if compression does not make it smaller. */
  gzip: Buffer | null;
  brotli: Buffer | null;
  /** Content-Type. */
  type: string;
  /** Strong ETag, quoted. */
  etag: string;
  /** The name contains a hash of the content, so caches may keep the file for ever. */
  is_immutable: boolean;
}

const folder = fileURLToPath(new URL(".", import.meta.url));
const project = fileURLToPath(new URL("..", import.meta.url));
/** Bundling and compressing take over a second, so their result is cached for each state of the sources. */
const cache = join(toolsFolder(), "dashboard");
/** The finished dashboard in the npm package, which has neither the sources nor the bundler. */
const packed = join(folder, "assets.json");
const FRAMES = ["index.html", "login.html"] as const;
/**
 * Module of each page by URL prefix, or by the name of the start page, so that the first page's modules are requested
 * before any script runs.
 */
const PAGES: Readonly<Record<string, string>> = {
  overview: "overview",
  market: "market",
  "/coins/": "coin",
  "/alerts": "alerts",
  "/lake": "lake",
  "/log": "log",
  "/quality": "quality",
  "/sql": "sql",
  "/api/reference": "reference",
};
const TYPES: Record<string, string> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
};

/**
 * Builds the dashboard as a map from URL path to file. `/index.html` is served for every page, `/login.html` asks for
 * the token; all other files are under `/assets/` with a content hash in their names. Scripts and styles are separate
 * files, because the content security policy forbids inline code.
 */
export async function buildDashboard(): Promise<ReadonlyMap<string, Asset>> {
  if (existsSync(packed)) return unpackAssets(readFileSync(packed, "utf8"));
  const kept = join(cache, `${digestOfSources()}.json`);
  if (existsSync(kept)) return unpackAssets(readFileSync(kept, "utf8"));
  const assets = await bundle();
  rmSync(cache, { recursive: true, force: true });
  mkdirSync(cache, { recursive: true });
  // Another process may write the same file; a rename is atomic.
  const draft = `${kept}.${process.pid}`;
  writeFileSync(draft, packAssets(assets));
  renameSync(draft, kept);
  return assets;
}

/** Builds the dashboard without the cache; `edit` changes the text of its modules. */
export async function bundle(edit?: (text: string) => string): Promise<Map<string, Asset>> {
  const { build, stop } = await import("esbuild");
  const result = await build({
    absWorkingDir: project,
    // The hashes in the names contain the paths of the modules. With this option, a checkout that links node_modules
    // builds the same names.
    preserveSymlinks: true,
    // `early.ts` runs before the first paint; in the main bundle it would run too late, and a dark page would flash
    // white.
    entryPoints: ["main.tsx", "early.ts", "styles/main.css", "icon.svg"].map((file) => join(folder, file)),
    bundle: true,
    splitting: true,
    format: "esm",
    target: ["es2022", "chrome109", "firefox115", "safari16.4"],
    jsx: "automatic",
    jsxImportSource: "preact",
    minify: true,
    legalComments: "none",
    loader: { ".svg": "file" },
    outdir: join(project, "assets"),
    entryNames: "[name]-[hash]",
    chunkNames: "[name]-[hash]",
    assetNames: "[name]-[hash]",
    define: { "process.env.NODE_ENV": '"production"' },
    plugins: edit === undefined ? [] : [editing(edit)],
    metafile: true,
    write: false,
    logLevel: "silent",
  });
  // esbuild's service process would otherwise stay alive and hold tens of megabytes.
  await stop();
  const files = result.outputFiles.map(
    ({ path, contents }) => [`/${relative(project, path).replaceAll("\\", "/")}`, contents] as const,
  );
  const assets = new Map(
    files.flatMap(([path, contents]) =>
      isStub(path, result.metafile) ? [] : [[path, assetOf(path, Buffer.from(contents))]],
    ),
  );
  for (const frame of FRAMES)
    assets.set(`/${frame}`, assetOf(`/${frame}`, Buffer.from(framed(frame, result.metafile))));
  return assets;
}

function editing(edit: (text: string) => string): Plugin {
  const load = ({ path }: { path: string }) =>
    ({ contents: edit(readFileSync(path, "utf8")), loader: extname(path) === ".tsx" ? "tsx" : "ts" }) as const;
  return { name: "edit", setup: (build) => build.onLoad({ filter: /\.tsx?$/ }, load) };
}

/** Whether a file is the empty module that esbuild emits for an SVG entry point. */
function isStub(path: string, metafile: Metafile): boolean {
  const entry = metafile.outputs[path.slice(1)]?.entryPoint ?? "";
  return path.endsWith(".js") && entry.endsWith(".svg");
}

function assetOf(path: string, body: Buffer): Asset {
  const type = TYPES[path.slice(path.lastIndexOf("."))];
  if (type === undefined) throw new Error(`no content type is known for ${path}`);
  const gzip = gzipSync(body, { level: 9 });
  const brotli = brotliCompressSync(body, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: body.length },
  });
  const etag = `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`;
  const is_smaller = gzip.length < body.length;
  return {
    body,
    gzip: is_smaller ? gzip : null,
    brotli: is_smaller ? brotli : null,
    type,
    etag,
    is_immutable: path.startsWith("/assets/"),
  };
}

/** An HTML frame with this build's file names; it preloads everything that the first page needs. */
function framed(frame: (typeof FRAMES)[number], metafile: Metafile): string {
  const outputs = Object.entries(metafile.outputs);
  const outputOf = (source: string): string => {
    const found = outputs.find(
      ([path, output]) =>
        output.entryPoint === `dashboard/${source}` && (source.endsWith(".css") || path.endsWith(".js")),
    );
    if (found === undefined) throw new Error(`the bundle has no output for ${source}`);
    return found[0];
  };
  const needed = (path: string): string[] => {
    const imports = (metafile.outputs[path]?.imports ?? [])
      .filter(({ kind }) => kind === "import-statement")
      .map((one) => one.path);
    return [...new Set([path, ...imports.flatMap(needed)])];
  };
  const main = outputOf("main.tsx");
  const first = new Set(needed(main));
  const pages = Object.entries(PAGES).map(([address, name]) => [
    address,
    needed(outputOf(`pages/${name}.tsx`))
      .filter((path) => !first.has(path))
      .map((path) => `/${path}`),
  ]);
  const icon = outputs.find(([path]) => path.endsWith(".svg"))?.[0] ?? "";
  const preloads = [...first]
    .filter((path) => path !== main)
    .map((path) => `<link rel="modulepreload" href="/${path}">`);
  return readFileSync(join(folder, frame), "utf8")
    .replaceAll("{{icon}}", `/${icon}`)
    .replace("{{early}}", `/${outputOf("early.ts")}`)
    .replace("{{pages}}", JSON.stringify(Object.fromEntries(pages)))
    .replace("{{style}}", `/${outputOf("styles/main.css")}`)
    .replace("{{preloads}}", preloads.join(""))
    .replace("{{main}}", `/${main}`);
}

function digestOfSources(): string {
  const hash = createHash("sha256");
  const entries = globSync("**/*", { cwd: folder, withFileTypes: true }).filter((entry) => entry.isFile());
  for (const file of entries.map(({ parentPath, name }) => join(parentPath, name)).sort()) addFile(hash, file);
  addFile(hash, join(project, "package-lock.json"));
  return hash.digest("hex").slice(0, 32);
}

function addFile(hash: Hash, file: string): void {
  hash
    .update(`${relative(project, file)}\0`)
    .update(readFileSync(file))
    .update("\0");
}

type Packed = Record<
  string,
  { body: string; type: string; etag: string; is_immutable: boolean; gzip: string | null; brotli: string | null }
>;

export function packAssets(assets: ReadonlyMap<string, Asset>): string {
  const entries = [...assets].map(([path, { body, gzip, brotli, ...rest }]) => {
    return [
      path,
      {
        ...rest,
        body: body.toString("base64"),
        gzip: gzip?.toString("base64") ?? null,
        brotli: brotli?.toString("base64") ?? null,
      },
    ];
  });
  return JSON.stringify(Object.fromEntries(entries));
}

function unpackAssets(text: string): Map<string, Asset> {
  const decode = (base64: string | null) => (base64 === null ? null : Buffer.from(base64, "base64"));
  return new Map(
    Object.entries(JSON.parse(text) as Packed).map(([path, { body, gzip, brotli, ...rest }]) => {
      return [path, { ...rest, body: Buffer.from(body, "base64"), gzip: decode(gzip), brotli: decode(brotli) }];
    }),
  );
}
