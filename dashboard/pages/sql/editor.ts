import {
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  completeFromList,
  completionKeymap,
  type Completion,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { PostgreSQL, sql, SQLDialect, type SQLNamespace } from "@codemirror/lang-sql";
import { bracketMatching, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { Compartment, EditorState, StateEffect, StateField, type Extension } from "@codemirror/state";
import {
  Decoration,
  drawSelection,
  EditorView,
  highlightActiveLine,
  keymap,
  lineNumbers,
  placeholder,
  WidgetType,
  type DecorationSet,
} from "@codemirror/view";
import { tags } from "@lezer/highlight";
import type { SqlSchema } from "../../../src/serve/schemas/sql.ts";

const DuckDB = SQLDialect.define({
  ...PostgreSQL.spec,
  keywords: [
    PostgreSQL.spec.keywords ?? "",
    "asof qualify pivot unpivot sample exclude replace positional anti semi describe summarize",
  ].join(" "),
  types: `${PostgreSQL.spec.types ?? ""} hugeint ubigint uinteger timestamptz struct map list`,
  hashComments: false,
});

const colours = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--accent)", fontWeight: "600" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--up)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--amber)" },
  { tag: tags.comment, color: "var(--muted)", fontStyle: "italic" },
  { tag: [tags.typeName, tags.standard(tags.name)], color: "var(--amber)" },
]);

const look = EditorView.theme({
  "&": { height: "100%", color: "var(--text)", backgroundColor: "var(--panel)", fontSize: "0.8125rem" },
  // The surrounding frame shows the focus; the gutter would cover an outline of the editor.
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.6", overflow: "auto" },
  ".cm-content": { caretColor: "var(--text)", padding: "8px 0" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-gutters": { backgroundColor: "var(--panel)", color: "var(--muted)", border: "none", paddingLeft: "4px" },
  ".cm-activeLine": { backgroundColor: "var(--hover)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "var(--accent-soft)",
  },
  ".cm-matchingBracket": { backgroundColor: "var(--accent-soft)", outline: "none" },
  ".cm-placeholder": { color: "var(--muted)" },
  ".cm-tooltip": {
    backgroundColor: "var(--raised)",
    border: "1px solid var(--line)",
    borderRadius: "6px",
    overflow: "hidden",
  },
  ".cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", maxHeight: "14rem" },
  ".cm-tooltip-autocomplete > ul > li": { padding: "2px 8px", lineHeight: "1.6" },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--on-accent)" },
  ".cm-completionDetail": { marginLeft: "12px", fontStyle: "normal", opacity: "0.75" },
  ".cm-error": { textDecoration: "underline wavy var(--down) 1px", textUnderlineOffset: "4px" },
  ".cm-error-note": {
    display: "block",
    margin: "2px 8px 6px",
    padding: "3px 8px",
    borderLeft: "3px solid var(--down)",
    backgroundColor: "var(--raised)",
    color: "var(--text)",
    whiteSpace: "pre-wrap",
    fontFamily: "var(--sans)",
  },
});

/** An error message below the line that caused it. */
class ErrorNote extends WidgetType {
  readonly text: string;

  constructor(text: string) {
    super();
    this.text = text;
  }

  override eq(other: ErrorNote): boolean {
    return other.text === this.text;
  }

  override toDOM(): HTMLElement {
    const note = document.createElement("div");
    note.className = "cm-error-note";
    note.setAttribute("role", "alert");
    note.textContent = this.text;
    return note;
  }
}

const setError = StateEffect.define<{ position: number; text: string } | null>();

const errors = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(shown, transaction) {
    // The mark moves with its text and disappears when the text is edited.
    let next = transaction.docChanged ? Decoration.none : shown.map(transaction.changes);
    for (const effect of transaction.effects) {
      if (!effect.is(setError)) continue;
      if (effect.value === null) next = Decoration.none;
      else next = markAt(transaction.state, effect.value.position, effect.value.text);
    }
    return next;
  },
  provide: (field) => EditorView.decorations.from(field),
});

function markAt(state: EditorState, position: number, text: string): DecorationSet {
  const at = Math.min(Math.max(0, position), state.doc.length);
  const line = state.doc.lineAt(at);
  const word = /^[\w."]+|^\S/.exec(line.text.slice(at - line.from))?.[0] ?? "";
  const note = Decoration.widget({ widget: new ErrorNote(text), block: true, side: 1 }).range(line.to);
  return Decoration.set(
    word === "" ? [note] : [Decoration.mark({ class: "cm-error" }).range(at, at + word.length), note],
    true,
  );
}

/**
 * Handles typing over a selection: the browser would copy the colours of the replaced text as an inline style, which
 * the content security policy blocks with an error in the console.
 */
const typeOverSelection = EditorView.domEventHandlers({
  beforeinput(event, view) {
    const { from, to, empty } = view.state.selection.main;
    const text = event.data;
    if (event.inputType !== "insertText" || text === null || empty || view.composing) return false;
    const insert = () =>
      view.state.update(view.state.replaceSelection(text), { userEvent: "input.type", scrollIntoView: true });
    event.preventDefault();
    if (!view.state.facet(EditorView.inputHandler).some((handler) => handler(view, from, to, text, insert)))
      view.dispatch(insert());
    return true;
  },
});

export interface SqlEditor {
  text(): string;
  /** The selected text, or all of it. */
  chosen(): { text: string; offset: number };
  replace(text: string): void;
  insert(text: string): void;
  know(schema: SqlSchema): void;
  fail(position: number, text: string): void;
  clearError(): void;
  focus(): void;
  remove(): void;
}

function extensionsFor(run: () => void, onChange: (text: string) => void): Extension[] {
  return [
    keymap.of([{ key: "Mod-Enter", run: () => (run(), true), preventDefault: true }]),
    lineNumbers(),
    history(),
    drawSelection(),
    bracketMatching(),
    closeBrackets(),
    autocompletion({ icons: false }),
    highlightActiveLine(),
    EditorView.lineWrapping,
    typeOverSelection,
    placeholder("select … from live.…"),
    EditorView.contentAttributes.of({ "aria-label": "SQL query; Ctrl or Command + Enter runs it" }),
    EditorView.updateListener.of((update) => {
      if (update.docChanged) onChange(update.state.doc.toString());
    }),
    // Tab is not bound, so that it moves the focus out of the editor.
    keymap.of([...closeBracketsKeymap, ...completionKeymap, ...historyKeymap, ...defaultKeymap]),
    syntaxHighlighting(colours),
    look,
    errors,
  ];
}

/**
 * Opens the editor in a shadow tree. CodeMirror then uses adopted style sheets; in the document it would add an inline
 * style element, which the content security policy blocks. CSS variables are inherited, so the editor follows the
 * theme.
 */
export function openEditor(
  container: HTMLElement,
  start: string,
  run: () => void,
  onChange: (text: string) => void,
): SqlEditor {
  const root = container.shadowRoot ?? container.attachShadow({ mode: "open" });
  const language = new Compartment();
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      doc: start,
      extensions: [...extensionsFor(run, onChange), language.of(sql({ dialect: DuckDB }))],
    }),
  });
  return {
    text: () => view.state.doc.toString(),
    chosen: () => {
      const { from, to, empty } = view.state.selection.main;
      return empty
        ? { text: view.state.doc.toString(), offset: 0 }
        : { text: view.state.sliceDoc(from, to), offset: from };
    },
    replace: (text) =>
      view.dispatch({
        changes: { from: 0, to: view.state.doc.length, insert: text },
        selection: { anchor: text.length },
      }),
    insert: (text) => {
      view.dispatch(view.state.replaceSelection(text));
      view.focus();
    },
    know: (schema) =>
      view.dispatch({
        effects: language.reconfigure([sql({ dialect: DuckDB, schema: namespaceOf(schema) }), functionsOf(schema)]),
      }),
    fail: (position, text) =>
      view.dispatch({
        effects: [
          setError.of({ position, text }),
          EditorView.scrollIntoView(Math.min(position, view.state.doc.length)),
        ],
      }),
    clearError: () => view.dispatch({ effects: setError.of(null) }),
    focus: () => view.focus(),
    remove: () => view.destroy(),
  };
}

function namespaceOf(schema: SqlSchema): SQLNamespace {
  const layers: Record<string, Record<string, Completion[]>> = {};
  for (const table of schema.tables) {
    const columns = table.columns.map(({ name, type, description }) => ({
      label: name,
      type: "property",
      detail: type.toLowerCase(),
      ...(description ? { info: description } : {}),
    }));
    (layers[table.schema] ??= {})[table.name] = columns;
  }
  return layers;
}

function functionsOf(schema: SqlSchema) {
  const known = schema.functions.map((name): Completion => ({
    label: name,
    type: "function",
    detail: "function",
    apply: `${name}(`,
    boost: -1,
  }));
  return DuckDB.language.data.of({ autocomplete: completeFromList(known) });
}
