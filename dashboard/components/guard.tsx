import { Component, type ComponentChildren } from "preact";

interface GuardProps {
  /** Name of the guarded part, as the subject of the error message. */
  what: string;
  children: ComponentChildren;
}

/** Error boundary: an error in one part leaves the rest of the page intact; the browser's console shows it in full. */
export class Guard extends Component<GuardProps, { message: string | null }> {
  override state: { message: string | null } = { message: null };

  override componentDidCatch(error: unknown): void {
    this.setState({ message: error instanceof Error ? error.message : String(error) });
    reportError(error);
  }

  override render({ what, children }: GuardProps, { message }: { message: string | null }) {
    if (message === null) return <>{children}</>;
    return (
      <div class="failure" role="alert">
        <p>
          <strong>{what} cannot be shown.</strong> This is an error in the dashboard, not in the lake: {message}
        </p>
        <button type="button" class="button small" onClick={() => this.setState({ message: null })}>
          Try again
        </button>
      </div>
    );
  }
}
