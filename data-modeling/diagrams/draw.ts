// Draws erd.svg from erd.mmd, as a part of `npm run -s docs`.
// Columns of tables stand where the source puts them, so a picture needs neither a layout engine nor a browser.

export interface Entity {
  name: string;
  columns: { type: string; name: string; keys: string }[];
  /** Space above the table, in the picture's units. */
  space: number;
}

interface Relationship {
  from: string;
  to: string;
  /** Mermaid's cardinality, such as `||--o{`. */
  cardinality: string;
  label: string;
}

export interface Diagram {
  columns: { title: string; entities: Entity[] }[];
  relationships: Relationship[];
}

/** Reads the part of Mermaid's erDiagram that erd.mmd uses; throws on a line that it does not know. */
export function parseDiagram(source: string): Diagram {
  const diagram: Diagram = { columns: [], relationships: [] };
  let entity: Entity | null = null;
  let space = 0;
  for (const raw of source.split("\n")) {
    const line = raw.trim();
    const column = /^%% column (.+)$/.exec(line);
    const space_line = /^%% space (\d+)$/.exec(line);
    const opening = /^(\w+) \{$/.exec(line);
    const attribute = /^(\w+) (\w+)(?: ([A-Z, ]+))?$/.exec(line);
    const relationship = /^(\w+) ([|}][|o]--[|o][|{]) (\w+) : "(.+)"$/.exec(line);
    if (column) diagram.columns.push({ title: column[1] ?? "", entities: [] });
    else if (space_line) space = Number(space_line[1]);
    else if (line === "" || line.startsWith("%%") || line === "erDiagram") continue;
    else if (opening) {
      entity = { name: opening[1] ?? "", columns: [], space };
      space = 0;
      diagram.columns.at(-1)?.entities.push(entity);
    } else if (line === "}") entity = null;
    else if (entity && attribute)
      entity.columns.push({ type: attribute[1] ?? "", name: attribute[2] ?? "", keys: attribute[3] ?? "" });
    else if (relationship) {
      const [, from = "", cardinality = "", to = "", label = ""] = relationship;
      diagram.relationships.push({ from, to, cardinality, label });
    } else throw new Error(`erd.mmd: cannot read the line "${line}"`);
  }
  return diagram;
}

const WIDTH = 250;
const GAP_X = 130;
const GAP_Y = 46;
const MARGIN = 24;
const TITLE = 34;
const HEAD = 28;
const ROW = 18;
const COLORS = ["#a8703a", "#6b7f94", "#6b7f94", "#b08a1e", "#3f7f5f"];

interface Box {
  x: number;
  y: number;
  height: number;
  color: string;
  entity: Entity;
}

/** The picture as SVG, light or dark as the reader's system is. */
export function drawDiagram(diagram: Diagram): string {
  const boxes = place(diagram);
  const height = Math.max(...[...boxes.values()].map((box) => box.y + box.height)) + MARGIN;
  const width = MARGIN * 2 + diagram.columns.length * (WIDTH + GAP_X) - GAP_X;
  const titles = diagram.columns.map(({ title }, index) => {
    const x = MARGIN + index * (WIDTH + GAP_X);
    return `<text class="s" x="${x}" y="${MARGIN + 14}" font-size="15" font-weight="600">${title}</text>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" ` +
      `font-family="system-ui, sans-serif" role="img" aria-label="Tables and relationships of the lake">`,
    "<style>text{fill:#1d2733}.s{fill:#5b6b7f}.bg{fill:#f5f7fa}.box{fill:#fff}" +
      ".halo{stroke:#f5f7fa;stroke-width:4;paint-order:stroke}" +
      "@media (prefers-color-scheme:dark){text{fill:#e6ebf1}.s{fill:#9fb0c3}.bg{fill:#121820}.box{fill:#1b232d}" +
      ".halo{stroke:#121820}}</style>",
    '<rect class="bg" width="100%" height="100%" rx="10"/>',
    ...titles,
    ...diagram.relationships.map((relationship) => drawRelationship(relationship, boxes)),
    ...[...boxes.values()].map(drawBox),
    "</svg>",
    "",
  ].join("\n");
}

function place(diagram: Diagram): Map<string, Box> {
  const boxes = new Map<string, Box>();
  diagram.columns.forEach(({ entities }, index) => {
    let y = MARGIN + TITLE;
    for (const entity of entities) {
      y += entity.space;
      const height = HEAD + entity.columns.length * ROW + 8;
      boxes.set(entity.name, {
        x: MARGIN + index * (WIDTH + GAP_X),
        y,
        height,
        color: COLORS[index] ?? "#6b7f94",
        entity,
      });
      y += height + GAP_Y;
    }
  });
  return boxes;
}

function drawBox({ x, y, height, color, entity }: Box): string {
  const rows = entity.columns.map(({ type, name, keys }, index) => {
    const baseline = y + HEAD + index * ROW + 15;
    const weight = keys === "" ? "" : ' font-weight="600"';
    return (
      `<text x="${x + 10}" y="${baseline}" font-size="12"${weight}>${name}</text>` +
      `<text class="s" x="${x + WIDTH - 10}" y="${baseline}" font-size="11" text-anchor="end">${keys} ${type}</text>`
    );
  });
  return [
    `<rect class="box" x="${x}" y="${y}" width="${WIDTH}" height="${height}" rx="6" ` +
      `stroke="${color}" stroke-width="1.5"/>`,
    `<path d="M${x} ${y + HEAD}h${WIDTH}" stroke="${color}"/>`,
    `<text x="${x + 10}" y="${y + 19}" font-size="14" font-weight="700">${entity.name}</text>`,
    ...rows,
  ].join("\n");
}

function drawRelationship({ from, to, cardinality, label }: Relationship, boxes: ReadonlyMap<string, Box>): string {
  const [a, b] = [boxes.get(from), boxes.get(to)];
  if (!a || !b) throw new Error(`erd.mmd: a relationship names the unknown table ${a ? to : from}`);
  const [start, end] = a.x === b.x ? above(a, b) : beside(a, b);
  const bend =
    a.x === b.x
      ? `L${end.x} ${end.y}`
      : `C${start.x + GAP_X / 2} ${start.y} ${end.x - GAP_X / 2} ${end.y} ${end.x} ${end.y}`;
  const middle = { x: (start.x + end.x) / 2, y: (start.y + end.y) / 2 };
  const [ends, starts] = [cardinality.slice(4), `${cardinality[1]}${cardinality[0]}`];
  return [
    `<path d="M${start.x} ${start.y}${bend}" fill="none" stroke="#8796a8" stroke-width="1.3"/>`,
    `<text class="s halo" x="${middle.x}" y="${middle.y - 5}" font-size="11" text-anchor="middle">${label}</text>`,
    multiplicity(start, starts, 1),
    multiplicity(end, ends, -1),
  ].join("\n");
}

interface Point {
  x: number;
  y: number;
}

/** Lines leave the right side and enter the left one, each table's spread over its height by where they lead. */
function beside(a: Box, b: Box): [Point, Point] {
  const share = (box: Box, other: Box) => box.y + box.height * (0.5 + 0.3 * Math.sign(other.y - box.y));
  return [
    { x: a.x + WIDTH, y: share(a, b) },
    { x: b.x, y: share(b, a) },
  ];
}

function above(a: Box, b: Box): [Point, Point] {
  const x = a.x + WIDTH / 2;
  return a.y < b.y
    ? [
        { x, y: a.y + a.height },
        { x, y: b.y },
      ]
    : [
        { x, y: a.y },
        { x, y: b.y + b.height },
      ];
}

const MULTIPLICITIES: Record<string, string> = {
  "||": "1",
  "o|": "0..1",
  "o{": "0..n",
  "|{": "1..n",
  "o}": "0..n",
  "|}": "1..n",
};

function multiplicity({ x, y }: Point, sign: string, side: 1 | -1): string {
  const anchor = side === 1 ? "start" : "end";
  return (
    `<text class="s halo" x="${x + 5 * side}" y="${y - 4}" font-size="10" ` +
    `text-anchor="${anchor}">${MULTIPLICITIES[sign] ?? sign}</text>`
  );
}
