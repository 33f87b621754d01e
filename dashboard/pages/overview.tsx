import { Guard } from "../components/guard.tsx";
import { PageHead } from "../components/panel.tsx";
import { pipelineInfo } from "../state/pipeline.ts";
import { useSubjects } from "../state/subjects.ts";
import { ChartPanel } from "./overview/chart-panel.tsx";
import { Question } from "./overview/tile.tsx";

/** The start page of any pipeline: its questions as tiles, then its charts. */
export function Overview() {
  const { title, questions, charts } = pipelineInfo();
  useSubjects();
  return (
    <div class="page overview">
      <PageHead title={title} />
      <section class="answers" aria-label="Answers">
        {questions.map((question) => (
          <Guard key={question.number} what={`The answer “${question.tile}”`}>
            <Question question={question} />
          </Guard>
        ))}
      </section>
      {charts.map((chart) => (
        <Guard key={chart.name} what={`The chart ${chart.title}`}>
          <ChartPanel chart={chart} />
        </Guard>
      ))}
    </div>
  );
}
