/** Runs: what the server was started with, how it learned, and what it is worth. */

import * as api from "./api";
import { intervalChart, lineChart, number, type Line } from "./charts";
import { fileName, h, messageOf, saveAs, say, whole } from "./dom";

export class RunsView {
  readonly element: HTMLElement;
  private readonly list = h("ul", { class: "runs", "aria-label": "Runs" });
  private readonly detail = h("div", { class: "results" });
  private readonly status = h("p", { class: "status", role: "status" });
  private readonly problem = h("p", { class: "problem", role: "alert" });
  private chosen = "";

  constructor() {
    this.element = h(
      "section",
      { "aria-labelledby": "runs-title" },
      h("h1", { id: "runs-title", tabindex: -1 }, "How they learned, and what they are worth."),
      h("p", { class: "lead" }, "The runs and comparisons that this server was started with."),
      this.status,
      this.problem,
      this.list,
      this.detail,
    );
  }

  async refresh(): Promise<void> {
    try {
      const runs = await api.runs();
      this.problem.textContent = "";
      say(this.status, runs.length ? "" : "This server was started with no run folder. Give it one: netwright serve runs/omniglot-1");
      this.list.replaceChildren(...runs.map((run) => this.line(run)));
      const first = runs.find(({ name }) => name === this.chosen) ?? runs[0];
      if (first) await this.show(first.name);
    } catch (error) {
      this.problem.textContent = messageOf(error);
    }
  }

  private line(run: api.RunLine): HTMLElement {
    const told =
      run.kind === "comparison"
        ? "comparison"
        : `${whole(run.steps ?? 0)} of ${whole(run.planned_steps ?? 0)} steps` +
          (run.best === null ? "" : `, best ${run.metric ?? "validation"} ${number(run.best)}`);
    return h(
      "li",
      {},
      h(
        "button",
        { type: "button", "aria-pressed": "false", "data-name": run.name, onclick: () => void this.show(run.name) },
        h("strong", {}, run.name),
        h("span", { class: "muted" }, told),
      ),
    );
  }

  private async show(name: string): Promise<void> {
    this.chosen = name;
    for (const button of this.list.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset["name"] === name));
    }
    try {
      const found = await api.run(name);
      if (this.chosen !== name) return;
      this.problem.textContent = "";
      this.detail.replaceChildren(...(found.kind === "run" ? runParts(found) : this.comparisonParts(found)));
    } catch (error) {
      this.problem.textContent = messageOf(error);
    }
  }

  private comparisonParts(found: api.RunDetail): HTMLElement[] {
    const settings = found.settings.map((setting) => {
      const estimates = setting.rows.flatMap(({ learner, estimate }) =>
        estimate ? [{ name: learner, value: estimate, own: learner === setting.reference }] : [],
      );
      return panel(
        setting.name,
        estimates.length
          ? intervalChart(`${found.metric ?? "score"} with 95 % intervals`, estimates)
          : h("p", { class: "muted" }, "No result yet."),
        h("p", { class: "muted" }, `${found.metric ?? "score"}, ${setting.higher_is_better ? "higher" : "lower"} is better; 95 % intervals over seeds and episodes`),
        h("ul", { class: "verdicts" }, ...setting.rows.filter(({ verdict }) => verdict).map(({ verdict }) => h("li", {}, verdict))),
      );
    });
    const report = found.report
      ? h("button", { type: "button", onclick: () => void this.saveReport(found.name) }, "Download the whole report")
      : h("p", { class: "muted" }, `No report yet: netwright report ${found.name}`);
    return [wide("Question", h("p", {}, found.question || found.title), report), ...settings];
  }

  private async saveReport(name: string): Promise<void> {
    try {
      saveAs(await api.report(name), `${fileName(name)}.html`);
    } catch (error) {
      this.problem.textContent = messageOf(error);
    }
  }
}

function wide(title: string, ...children: (Node | string)[]): HTMLElement {
  const element = panel(title, ...children);
  element.classList.add("wide");
  return element;
}

function panel(title: string, ...children: (Node | string)[]): HTMLElement {
  return h("section", { class: "panel" }, h("h2", {}, title), ...children);
}

function runParts(found: api.RunDetail): HTMLElement[] {
  const of = (name: "loss" | "validation_loss" | "validation"): [number, number][] =>
    found.curves.flatMap((line) => {
      const value = line[name];
      return value === null ? [] : [[line.step, value] as [number, number]];
    });
  const all: Line[] = [
    { name: "training", kind: "second", points: of("loss") },
    { name: "validation", kind: "first", points: of("validation_loss") },
  ];
  const losses = all.filter((line) => line.points.length);
  const metric: Line = { name: found.metric ?? "validation", kind: "first", points: of("validation") };
  const parts: HTMLElement[] = [];
  if (losses.length) {
    parts.push(panel("Loss", lineChart("Loss", "step", losses, true), legend(losses)));
  }
  if (metric.points.length) {
    parts.push(panel(`Validation: ${found.metric ?? ""}`, lineChart(metric.name, "step", [metric])));
  }
  for (const evaluation of found.evaluations) parts.push(evaluationPart(evaluation));
  if (!found.evaluations.length) {
    parts.push(panel("Evaluation", h("p", { class: "muted" }, `Not evaluated yet: netwright evaluate ${found.name}`)));
  }
  if (found.record) {
    parts.push(wide("Record", h("pre", { tabindex: 0, "aria-label": "Record of the run" }, JSON.stringify(found.record, null, 2))));
  }
  return parts;
}

function evaluationPart(found: api.Evaluation): HTMLElement {
  const estimates = Object.entries(found.metrics).flatMap(([name, value]) => [
    { name, value, own: true },
    ...(found.shuffled[name] ? [{ name: "shuffled conditions", value: found.shuffled[name], own: false }] : []),
  ]);
  const calibration = found.calibration_error === null ? "" : ` Calibration error ${number(found.calibration_error)}.`;
  return panel(
    `Evaluation: ${whole(found.tasks)} ${found.split} tasks`,
    intervalChart(`Evaluation on ${found.split} tasks with 95 % intervals`, estimates),
    h("p", { class: "muted" }, `95 % intervals over tasks; ${whole(found.parameters)} numbers per network, written in ${number(found.generate_ms)} ms.${calibration}`),
  );
}

function legend(lines: Line[]): HTMLElement {
  return h(
    "p",
    { class: "legend" },
    ...lines.map(({ name, kind }) => h("span", { class: kind }, name)),
  );
}
