import type { Topic } from "../../src/serve/schemas/log.ts";
import type { Page } from "../../src/serve/schemas/values.ts";
import { PageHead, Panel } from "../components/panel.tsx";
import { Empty, Loaded, Skeleton } from "../components/states.tsx";
import { parameters, setParameters } from "../router.ts";
import { useResource } from "../state/resource.ts";
import { Tail } from "./log/tail.tsx";
import { TopicFigures } from "./log/topic.tsx";

const REFRESH_MS = 1_000;

/** The durable log: topics, consumer lag and messages. */
export function Log() {
  const topics = useResource<Page<Topic>>("/api/log/topics", REFRESH_MS);
  const listed = topics.state.value.value?.items ?? [];
  const chosen = listed.find(({ topic }) => topic === parameters.value.get("topic")) ?? listed[0];
  return (
    <div class="page log">
      <PageHead title="Log">Every message of every source, byte for byte, durable before it is processed.</PageHead>
      <Loaded what="The list of topics" resource={topics} skeleton={<Skeleton height="10rem" />}>
        {({ items }) =>
          items.length === 0 || chosen === undefined ? (
            <Empty title="No topics yet">
              The first topic is created when a source starts: run <code>npm start</code>.
            </Empty>
          ) : (
            <>
              {items.length > 1 ? <TopicChoice topics={items} chosen={chosen} /> : null}
              <TopicFigures topic={chosen} />
            </>
          )
        }
      </Loaded>
      {chosen === undefined ? null : (
        <Panel title="Messages" note={chosen.topic} is_flush class="tail">
          <Tail key={chosen.topic} topic={chosen} />
        </Panel>
      )}
    </div>
  );
}

function TopicChoice({ topics, chosen }: { topics: readonly Topic[]; chosen: Topic }) {
  return (
    <div class="segments" role="group" aria-label="Topic">
      {topics.map(({ topic }) => (
        <button
          key={topic}
          type="button"
          aria-pressed={topic === chosen.topic}
          onClick={() => setParameters({ topic })}
        >
          {topic}
        </button>
      ))}
    </div>
  );
}
