/** Table: a CSV and its target; what a network for it is worth on rows that it has not seen, and the network. */

import * as api from "./api";
import { calibrationChart, intervalChart, number } from "./charts";
import { bytes, fileName, h, messageOf, saveAs, say, whole } from "./dom";
import { facts } from "./draw";
import { onDrop } from "./pictures";

const MOST_BYTES = 5e6;
const OWN = "netwright";

export class TableView {
  readonly element: HTMLElement;
  private readonly target = h("select", { id: "target", required: true, disabled: true });
  private readonly button = h("button", { type: "submit", class: "primary", disabled: true }, "Write a network");
  private readonly name = h("p", { class: "muted filename" }, "No file yet");
  private readonly problem = h("p", { class: "problem", role: "alert" });
  private readonly status = h("p", { class: "status", role: "status" });
  private readonly result = h("div", { class: "results" });
  private file: File | null = null;
  private asking: AbortController | null = null;

  constructor() {
    const chooser = h("input", {
      type: "file", accept: ".csv,text/csv", id: "table-file", class: "hidden",
      onchange: () => void this.take(chooser.files?.[0]),
    });
    const drop = h(
      "div",
      { class: "drop" },
      h("p", {}, "Drop a CSV file here, or"),
      h("label", { class: "button primary", for: "table-file" }, "Choose a CSV file"),
      chooser,
      this.name,
    );
    onDrop(drop, (files) => void this.take(files[0]));
    this.element = h(
      "section",
      { "aria-labelledby": "table-title" },
      h("h1", { id: "table-title", tabindex: -1 }, "A classifier for a table, without training."),
      h("p", { class: "lead" }, "Every row is judged by a network that was written without it. The one that you download is written from all rows. Up to 4,096 rows and 5 MB; your rows are not kept."),
      h(
        "form",
        {
          class: "panel",
          onsubmit: (event: Event) => {
            event.preventDefault();
            void this.write();
          },
        },
        drop,
        h("div", { class: "choice" }, h("label", { for: "target" }, "Column to predict"), this.target, this.button),
        this.status,
        this.problem,
      ),
      this.result,
    );
  }

  private async take(file: File | undefined): Promise<void> {
    if (!file) return;
    this.problem.textContent = "";
    this.status.textContent = "";
    try {
      if (file.size > MOST_BYTES) throw new Error(`${file.name} has ${bytes(file.size)}, at most 5 MB are read. Take fewer rows.`);
      const columns = headerOf(await file.slice(0, 65_536).text());
      if (columns.length < 2) throw new Error(`${file.name} has no header with two columns. Is it a CSV with commas?`);
      this.file = file;
      say(this.name, `${file.name}, ${columns.length} columns`);
      this.target.replaceChildren(...columns.map((name) => h("option", { value: name }, name)));
      this.target.value = columns.at(-1)!;
      this.target.disabled = this.button.disabled = false;
      this.target.focus();
    } catch (error) {
      this.problem.textContent = messageOf(error);
    }
  }

  private async write(): Promise<void> {
    if (!this.file) return;
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    this.problem.textContent = "";
    say(this.status, "Writing networks and judging them on rows left out…");
    this.button.disabled = true;
    try {
      const found = await api.writeForTable(this.file, this.target.value, asking.signal);
      say(this.status, `Written for ${found.target}: ${found.classes.length} classes, ${whole(found.rows)} rows.`);
      this.show(found);
    } catch (error) {
      if (asking.signal.aborted) return;
      this.status.textContent = "";
      this.problem.textContent = messageOf(error);
    } finally {
      this.button.disabled = false;
    }
  }

  private show(found: api.TableResult): void {
    const own = found.scores[OWN]!;
    const told = facts(["held-out accuracy", "numbers", "size", "written in"]);
    const accuracy = own["accuracy"]!;
    told.show([
      `${(100 * accuracy[0]).toFixed(1)} %`,
      whole(found.parameters),
      bytes(found.bytes),
      `${found.milliseconds.toFixed(0)} ms`,
    ]);
    const compared = Object.entries(found.scores).map(([name, scores]) => ({
      name,
      own: name === OWN,
      value: scores["accuracy"]!.map((value) => 100 * value) as api.Interval,
    }));
    const problem = h("p", { class: "problem", role: "alert" });
    const buttons = found.formats.map((format) =>
      h("button", { type: "button", onclick: () => void this.download(found, format, problem) }, NAMES[format] ?? format),
    );
    this.result.replaceChildren(
      h(
        "section",
        { class: "panel", "aria-labelledby": "worth-title" },
        h("h2", { id: "worth-title" }, `Accuracy on rows left out, ${found.folds} folds`),
        intervalChart("Accuracy in percent with 95 % intervals", compared, " %"),
        h("p", { class: "muted" }, "95 % intervals over rows; the others are scikit-learn's, with their defaults."),
      ),
      h(
        "section",
        { class: "panel", "aria-labelledby": "sure-title" },
        h("h2", { id: "sure-title" }, "Calibration"),
        calibrationChart(found.calibration),
        h("p", { class: "muted" }, `Calibration error ${interval(own["calibration error"])}, log loss ${interval(own["log loss"])}.`),
      ),
      h(
        "section",
        { class: "panel", "aria-labelledby": "written-title" },
        h("h2", { id: "written-title" }, "The network"),
        told.element,
        h("div", { class: "downloads", role: "group", "aria-label": "Download the network" }, h("span", { class: "muted" }, "Download"), ...buttons),
        problem,
      ),
    );
  }

  private async download(found: api.TableResult, format: string, problem: HTMLElement): Promise<void> {
    try {
      saveAs(await api.exportedTable(found.id, format), `${fileName(found.target)}.${ENDINGS[format] ?? format}`);
      problem.textContent = "";
    } catch (error) {
      problem.textContent = messageOf(error);
    }
  }
}

const NAMES: Record<string, string> = { onnx: "ONNX", c: "C", numpy: "NumPy" };
// A module and its arrays.
const ENDINGS: Record<string, string> = { numpy: "zip" };

function interval(value: api.Interval | undefined): string {
  return value ? `${number(value[0])} (${number(value[1])} to ${number(value[2])})` : "–";
}

/** Names of the first line of a CSV, quotes undone. */
export function headerOf(text: string): string[] {
  const names: string[] = [];
  let [name, quoted] = ["", false];
  const source = text.replace(/^\uFEFF/, "");
  for (let i = 0; i < source.length; i++) {
    const letter = source[i]!;
    if (quoted) {
      if (letter === '"' && source[i + 1] === '"') name += source[i++];
      else if (letter === '"') quoted = false;
      else name += letter;
    } else if (letter === '"') quoted = true;
    else if (letter === ",") {
      names.push(name);
      name = "";
    } else if (letter === "\n" || letter === "\r") break;
    else name += letter;
  }
  return [...names, name].filter((each) => each !== "");
}
