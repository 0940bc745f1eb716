/** Draw: examples of classes, the network that is written from them, and new drawings that it tells apart. */

import * as api from "./api";
import { Bars, percent } from "./bars";
import { ClassCard } from "./classes";
import { bytes, fileName, h, messageOf, saveAs, say, whole } from "./dom";
import { SIZE } from "./ink";
import { open, prepare, type Network } from "./network";
import { emptyDrawing, Pad, pictureOf } from "./pad";
import { inkOfFile, onDrop } from "./pictures";
import { drawWeights, tensorsOf } from "./weights";

const FEWEST = 2;
const MOST = 10;
/** After the last stroke, before a network is asked for: two strokes of a letter make one request. */
const QUIET_MS = 200;
const FORMATS = [
  ["onnx", "ONNX"],
  ["safetensors", "safetensors"],
  ["c", "C"],
  ["numpy", "NumPy"],
] as const;
// A module and its arrays.
const ENDINGS: Record<string, string> = { numpy: "zip" };

export class DrawView {
  readonly element: HTMLElement;
  private readonly cards: ClassCard[] = [];
  private readonly list = h("ul", { class: "cards" });
  private readonly addButton = h("button", { type: "button", class: "add", onclick: () => this.add() }, "Add a class");
  private readonly status = h("p", { class: "status", role: "status" });
  private readonly problem = h("p", { class: "problem", role: "alert" });
  private readonly facts = facts(["numbers", "size", "written in", "examples"]);
  private readonly picture = h("canvas", { class: "weights", role: "img", "aria-label": "No network yet" });
  private readonly downloads: HTMLButtonElement[];
  private readonly chooser = h("select", { id: "hypernetwork", onchange: () => this.later(true) });
  private readonly bars = new Bars();
  private readonly verdict = h("p", { class: "verdict" });
  private readonly spoken = h("p", { class: "hidden", "aria-live": "polite" });
  /** What is drawn to be classified. */
  readonly question = emptyDrawing();
  private readonly pad: Pad;
  private readonly padProblem = h("p", { class: "problem", role: "alert" });
  /** What runs in the browser now. */
  network: Network | null = null;
  private written: (api.Written & { labels: string[] }) | null = null;
  private asking: AbortController | null = null;
  private timer = 0;
  private strokeEnded = 0;

  constructor() {
    this.pad = new Pad("New drawing to be classified", (done) => void this.classify(done));
    this.downloads = FORMATS.map(([format, name]) =>
      h("button", { type: "button", disabled: true, onclick: () => void this.download(format) }, name),
    );
    const select = h("div", { class: "choice", hidden: true }, h("label", { for: "hypernetwork" }, "Written by"), this.chooser);
    this.element = h(
      "section",
      { "aria-labelledby": "draw-title" },
      h("h1", { id: "draw-title", tabindex: -1 }, "Draw a few examples. A network is written."),
      h("p", { class: "lead" }, "Nothing is trained: a hypernetwork reads your drawings and writes the weights of a small network in one pass. It then runs here, in your browser."),
      h("p", { id: "pad-help", class: "hidden" }, "Draw with mouse, finger or pen. With the keyboard: arrow keys move the pen, space puts it down or lifts it, backspace takes the last stroke back, delete clears."),
      h(
        "div",
        { class: "columns" },
        h("section", { class: "classes", "aria-labelledby": "classes-title" }, h("h2", { id: "classes-title" }, "Classes"), select, this.list),
        this.networkPanel(),
        this.tryPanel(),
      ),
    );
    this.list.append(h("li", { class: "card adder" }, this.addButton));
    this.add("A", false);
    this.add("B", false);
    this.tell();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.cards.forEach((card) => card.repaint()));
    void this.begin(select);
  }

  private networkPanel(): HTMLElement {
    return h(
      "section",
      { class: "panel network", "aria-labelledby": "network-title" },
      h("h2", { id: "network-title" }, "The network"),
      this.status,
      this.problem,
      h("div", { class: "frame" }, this.picture),
      this.facts.element,
      h("div", { class: "downloads", role: "group", "aria-label": "Download the network" }, h("span", { class: "muted" }, "Download"), ...this.downloads),
    );
  }

  private tryPanel(): HTMLElement {
    const chooser = h("input", {
      type: "file", accept: "image/*", class: "hidden",
      onchange: () => {
        void this.takeFile(chooser.files?.[0]);
        chooser.value = "";
      },
    });
    onDrop(this.pad.canvas, (files) => void this.takeFile(files[0]));
    this.pad.show(this.question);
    return h(
      "section",
      { class: "panel try", "aria-labelledby": "try-title" },
      h("h2", { id: "try-title" }, "Try it"),
      h(
        "div",
        { class: "trial" },
        h(
          "div",
          {},
          this.pad.canvas,
          h(
            "div",
            { class: "tools" },
            h("button", { type: "button", class: "quiet", onclick: () => this.pad.undo() }, "Undo"),
            h("button", { type: "button", class: "quiet", onclick: () => this.pad.clear() }, "Clear"),
            h("label", { class: "quiet button" }, "Picture", h("span", { class: "hidden" }, " to be classified"), chooser),
          ),
        ),
        h("div", { class: "answer" }, this.verdict, this.bars.element, this.spoken, this.padProblem),
      ),
    );
  }

  private async begin(select: HTMLElement): Promise<void> {
    // The runtime is fetched while the first examples are drawn; a failure is told when it is needed.
    prepare().catch(() => undefined);
    try {
      const fitting = (await api.hypernetworks()).filter(
        ({ input_shape: shape, accepts, classes }) =>
          accepts.includes("examples") && classes && String(shape) === String([1, SIZE, SIZE]),
      );
      if (!fitting.length) throw new Error("This server has no hypernetwork for drawings. Start it without a run: netwright serve");
      this.chooser.replaceChildren(...fitting.map(({ name }) => h("option", { value: name }, name)));
      select.hidden = fitting.length < 2;
      this.later(false);
    } catch (error) {
      this.problem.textContent = messageOf(error);
    }
  }

  private add(name?: string, byHand = true): void {
    if (this.cards.length >= MOST) return;
    const used = new Set(this.cards.map((card) => card.label));
    const free = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"].find((letter) => !used.has(letter));
    const card = new ClassCard(
      name ?? free ?? "",
      (done) => this.later(done),
      (gone) => this.remove(gone),
    );
    this.cards.push(card);
    this.list.insertBefore(card.element, this.list.lastElementChild);
    this.recount();
    if (byHand) card.focus();
    this.later(true);
  }

  private remove(card: ClassCard): void {
    const place = this.cards.indexOf(card);
    this.cards.splice(place, 1);
    card.element.remove();
    this.recount();
    this.cards[Math.min(place, this.cards.length - 1)]?.focus();
    this.later(true);
  }

  private recount(): void {
    this.cards.forEach((card, i) => card.place(i + 1, this.cards.length > FEWEST));
    this.addButton.disabled = this.cards.length >= MOST;
    this.addButton.textContent = this.cards.length >= MOST ? `${MOST} classes at most` : "Add a class";
  }

  /** Write again when nothing has changed for a moment. */
  private later(done: boolean): void {
    clearTimeout(this.timer);
    this.asking?.abort();
    if (done) {
      this.strokeEnded = performance.now();
      this.tell();
    }
    // A stroke that is being drawn is waited for.
    this.timer = window.setTimeout(() => void this.write(), done ? QUIET_MS : 2000);
  }

  private get labels(): string[] {
    const labels = this.cards.map((card) => card.label);
    // Names must differ; the second one of a name is told by its place.
    return labels.map((label, i) => (labels.indexOf(label) === i ? label : `${label} (${i + 1})`));
  }

  private tell(): void {
    const without = this.cards.filter((card) => !card.pictures.length).map((card) => card.label);
    const missing = without.length === this.cards.length ? "each class" : without.join(", ");
    if (without.length) say(this.status, `Draw an example of ${missing}.`);
    if (this.written) return;
    this.bars.call(this.labels);
    this.bars.show(null);
    say(this.verdict, "Draw here once the network is there.");
  }

  private async write(): Promise<void> {
    const pictures = this.cards.map((card) => card.pictures);
    if (!this.chooser.value || pictures.some((own) => !own.length)) return;
    const labels = this.labels;
    const x = pictures.flat().map((picture) => [rowsOf(picture)]);
    const y = pictures.flatMap((own, i) => own.map(() => i));
    const asking = (this.asking = new AbortController());
    if (!this.written) say(this.status, "Writing…");
    try {
      const written = await api.write(this.chooser.value, x, y, labels, asking.signal);
      const [onnx, weights] = await Promise.all([
        api.exported(written.id, "onnx", asking.signal),
        api.exported(written.id, "safetensors", asking.signal),
      ]);
      const network = await open(onnx);
      if (asking.signal.aborted) {
        network.release();
        api.forget(written.id);
        return;
      }
      this.use(network, { ...written, labels }, weights, x.length);
    } catch (error) {
      if (!asking.signal.aborted) this.problem.textContent = messageOf(error);
    }
  }

  private use(network: Network, written: api.Written, weights: ArrayBuffer, examples: number): void {
    this.network?.release();
    if (this.written) api.forget(this.written.id);
    [this.network, this.written] = [network, written];
    this.problem.textContent = "";
    const since = performance.now() - this.strokeEnded;
    this.facts.show([whole(written.parameters), bytes(written.bytes), `${milliseconds(written.milliseconds)}`, String(examples)]);
    say(this.status, `Written, and running in this browser.`);
    this.status.dataset["milliseconds"] = since.toFixed(0);
    this.status.dataset["network"] = written.id;
    drawWeights(this.picture, tensorsOf(weights));
    this.picture.setAttribute("aria-label", `The ${whole(written.parameters)} weights of the network, each a dot: blue below zero, orange above`);
    for (const button of this.downloads) button.disabled = false;
    this.bars.call(written.labels);
    void this.classify(true);
  }

  private async takeFile(file: File | undefined): Promise<void> {
    if (!file) return;
    this.padProblem.textContent = "";
    try {
      const { ink, height, width } = await inkOfFile(file);
      if (!this.pad.take(ink, height, width)) throw new Error(`${file.name} is all of one shade. Choose another one.`);
    } catch (error) {
      this.padProblem.textContent = messageOf(error);
    }
  }

  private async classify(done: boolean): Promise<void> {
    const [network, written] = [this.network, this.written];
    if (!network || !written) return;
    const picture = pictureOf(this.question);
    if (!picture) {
      this.bars.show(null);
      say(this.verdict, "Draw something here.");
      return;
    }
    try {
      const shares = await network.classify(picture);
      if (network !== this.network) return;
      this.bars.show(shares);
      const most = shares.indexOf(Math.max(...shares));
      const sentence = `${written.labels[most]}, ${percent(shares[most]!)}`;
      say(this.verdict, sentence);
      // Not with every point of a stroke.
      if (done) say(this.spoken, sentence);
      this.padProblem.textContent = "";
    } catch (error) {
      if (network === this.network) this.padProblem.textContent = messageOf(error);
    }
  }

  /** What the network reads of the drawing that is to be classified. */
  pictureOfQuestion(): Float32Array | null {
    return pictureOf(this.question);
  }

  private async download(format: string): Promise<void> {
    const written = this.written;
    if (!written) return;
    try {
      const content = await api.exported(written.id, format);
      saveAs(new Blob([content]), `${fileName(written.labels.join("-"))}.${ENDINGS[format] ?? format}`);
      this.problem.textContent = "";
    } catch (error) {
      this.problem.textContent = messageOf(error);
    }
  }
}

function rowsOf(picture: Float32Array): number[][] {
  return Array.from({ length: SIZE }, (_, row) =>
    Array.from(picture.subarray(row * SIZE, (row + 1) * SIZE), (value) => Math.round(value * 1e5) / 1e5),
  );
}

function milliseconds(value: number): string {
  return `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ms`;
}

/** Names and values side by side; values are empty at first. */
export function facts(names: string[]): { element: HTMLDListElement; show(values: string[]): void } {
  const values = names.map(() => h("dd", {}, "–"));
  return {
    element: h("dl", { class: "facts" }, ...names.map((name, i) => h("div", {}, h("dt", {}, name), values[i]))),
    show: (texts) => texts.forEach((text, i) => say(values[i]!, text)),
  };
}
