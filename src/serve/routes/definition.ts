import type { Pipeline } from "../../pipeline/definition.ts";
import { live } from "../../query/ask.ts";
import { pageOfList } from "../cursor.ts";
import { register, type App } from "../endpoint.ts";
import type { ServerDependencies } from "../dependencies.ts";
import { PipelineInfo, Pipelines, Subjects } from "../schemas/definition.ts";
import { PageQuery } from "../schemas/values.ts";
import { describeChart } from "./charts.ts";

/** What the pipeline is about: its definition, and the subjects that the lake knows. */
export function definitionRoutes(app: App, { handle: { pipeline }, reader, mounts }: ServerDependencies): void {
  const info = describePipeline(pipeline);
  register(app, {
    method: "get",
    path: "/api/pipeline",
    tag: "Status",
    summary: "Get the pipeline's title, nouns, questions and charts",
    response: PipelineInfo,
    handle: async () => info,
  });
  register(app, {
    method: "get",
    path: "/api/pipelines",
    tag: "Status",
    summary: "List the pipelines of this server, with the paths of their dashboards and APIs",
    response: Pipelines,
    handle: async () => ({
      items: mounts.all.map(({ name, title, base, state }) => ({
        name,
        title,
        base,
        is_serving: state === "serving",
      })),
    }),
  });
  register(app, {
    method: "get",
    path: "/api/subjects",
    tag: "Data",
    summary: `List the ${pipeline.subjects.plural} that the lake knows, by rank`,
    query: PageQuery,
    response: Subjects,
    async handle({ query: { limit, cursor } }) {
      const subjects = (await reader.subjects()).map(({ id, symbol, name, rank, is_gone }) => {
        return { id, symbol, name, rank, is_gone };
      });
      subjects.sort((a, b) => (a.rank ?? Infinity) - (b.rank ?? Infinity) || (a.id < b.id ? -1 : 1));
      return pageOfList(subjects, limit, cursor);
    },
  });
}

function describePipeline(pipeline: Pipeline): PipelineInfo {
  const { dashboard, subjects, reconciliation } = pipeline;
  return {
    name: pipeline.name,
    title: pipeline.title,
    start_page: dashboard.start_page,
    subject: { noun: subjects.noun, plural: subjects.plural },
    value: dashboard.value,
    amount: dashboard.amount,
    questions: pipeline.questions.map(({ number, title, tile, options }) => ({
      number,
      title,
      tile,
      options: Object.entries(options).map(([name, option]) => ({
        name,
        description: option.description,
        default: option.default,
        is_subject: option.is_subject ?? false,
      })),
    })),
    charts: pipeline.charts.map(describeChart),
    resources: pipeline.api.map(({ path }) => path),
    reasons: { ...reconciliation.reasons },
    example_sql: exampleSql(pipeline),
    credit: dashboard.credit ?? null,
  };
}

function exampleSql({ live: { columns }, reconciliation: { accepted } }: Pipeline): string {
  return [
    `select ${columns.subject}, ${columns.value}, ${columns.at}, ${columns.source}`,
    `from ${live(accepted)}`,
    `order by ${columns.at} desc`,
    "limit 100",
  ].join("\n");
}
