import { Component, type ComponentChildren } from "preact";

interface GuardProps {
  /** What is missing when it fails, as the begin of a sentence. */
  what: string;
  children: ComponentChildren;
}

/** Keeps a mistake in one part of the page from taking the rest with it; the browser's console has it whole. */
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
          <strong>{what} cannot be shown.</strong> This is a mistake in the page, not in the lake: {message}
        </p>
        <button type="button" class="button small" onClick={() => this.setState({ message: null })}>
          Try again
        </button>
      </div>
    );
  }
}
