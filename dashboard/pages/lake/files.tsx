import type { DataFile } from "../../../src/serve/schemas/tables.ts";
import { formatBytes, formatCount, plural } from "../../format/number.ts";

const MAX_PARTITIONS = 30;

/** Files as bars: one bar per partition, as long as its size, divided into files. */
export function Files({ files, is_all }: { files: readonly DataFile[]; is_all: boolean }) {
  const partitions = new Map<string, DataFile[]>();
  for (const file of files) partitions.set(file.partition, [...(partitions.get(file.partition) ?? []), file]);
  const sizeOf = (of: readonly DataFile[]) => of.reduce((total, { size_bytes }) => total + size_bytes, 0);
  const sorted = [...partitions].sort(([a], [b]) => (a < b ? 1 : -1));
  const greatest = Math.max(1, ...sorted.map(([, of]) => sizeOf(of)));
  if (files.length === 0)
    return <p class="note">The current snapshot has no files: nothing was committed yet, or all rows were deleted.</p>;
  return (
    <>
      <ol class="file-bars">
        {sorted.slice(0, MAX_PARTITIONS).map(([partition, of]) => (
          <li key={partition}>
            <span class="file-partition" title={partition}>
              {partition === "" ? "unpartitioned" : partition}
            </span>
            <span class="file-track">
              <span class="file-strip" style={{ width: `${(100 * sizeOf(of)) / greatest}%` }}>
                {of
                  .toSorted((a, b) => b.size_bytes - a.size_bytes)
                  .map((file) => (
                    <span
                      key={file.path}
                      class={`file ${file.content}`}
                      style={{ flexGrow: file.size_bytes }}
                      title={describeFile(file)}
                    />
                  ))}
              </span>
            </span>
            <span class="figure muted">
              {countsOf(of)} · {formatBytes(sizeOf(of))} · {plural(rowsLeft(of), "row")}
            </span>
          </li>
        ))}
      </ol>
      {sorted.length > MAX_PARTITIONS ? (
        <p class="note">
          The newest {MAX_PARTITIONS} of {formatCount(sorted.length)} partitions are shown.
        </p>
      ) : null}
      {is_all ? null : <p class="note">Only the first {formatCount(files.length)} files are shown.</p>}
    </>
  );
}

function describeFile({ path, size_bytes, rows, content }: DataFile): string {
  return `${path}\n${formatBytes(size_bytes)}, ${plural(rows, "row")}, ${content.replace("_", " ")}`;
}

function countsOf(files: readonly DataFile[]): string {
  const data = files.filter(({ content }) => content === "data").length;
  return data === files.length
    ? plural(data, "file")
    : `${formatCount(data)} data + ${formatCount(files.length - data)} delete files`;
}

/** Rows after position deletes; rows removed by equality deletes are not known without a scan. */
function rowsLeft(files: readonly DataFile[]): number {
  return files.reduce(
    (total, { rows, content }) => total + (content === "data" ? rows : content === "position_deletes" ? -rows : 0),
    0,
  );
}
