/** One class: its name, a pad, and up to five examples. */

import { h } from "./dom";
import { drawPicture, emptyDrawing, isEmpty, Pad, pictureOf, type Drawing } from "./pad";
import { inkOfFile, onDrop } from "./pictures";
import { SIZE } from "./ink";

export const MOST_EXAMPLES = 5;

export class ClassCard {
  readonly element: HTMLLIElement;
  private readonly name: HTMLInputElement;
  private readonly pad: Pad;
  private readonly slots: HTMLButtonElement[];
  private readonly problem: HTMLParagraphElement;
  private readonly removeButton: HTMLButtonElement;
  private readonly drawings: Drawing[] = Array.from({ length: MOST_EXAMPLES }, emptyDrawing);
  private selected = 0;
  private number = 0;

  constructor(
    name: string,
    private readonly changed: (done: boolean) => void,
    remove: (card: ClassCard) => void,
  ) {
    this.name = h("input", {
      class: "name", type: "text", value: name, maxlength: 40, autocomplete: "off", spellcheck: "false",
      oninput: () => this.renamed(),
    });
    this.removeButton = h("button", { type: "button", class: "quiet icon", onclick: () => remove(this) }, "×");
    this.pad = new Pad("", (done) => this.drawn(done));
    const chooser = h("input", {
      type: "file", accept: "image/*", multiple: true, class: "hidden",
      onchange: () => {
        void this.takeFiles([...(chooser.files ?? [])]);
        chooser.value = "";
      },
    });
    this.slots = this.drawings.map((_, i) =>
      h(
        "button",
        { type: "button", class: "slot", onclick: () => this.select(i) },
        h("canvas", { width: SIZE, height: SIZE, "aria-hidden": "true" }),
      ),
    );
    this.problem = h("p", { class: "problem", role: "alert" });
    const field = h("div", { class: "field" }, this.pad.canvas);
    this.element = h(
      "li",
      { class: "card" },
      h("div", { class: "head" }, this.name, this.removeButton),
      field,
      h("div", { class: "slots", role: "group" }, ...this.slots),
      h(
        "div",
        { class: "tools" },
        h("button", { type: "button", class: "quiet", onclick: () => this.pad.undo() }, "Undo"),
        h("button", { type: "button", class: "quiet", onclick: () => this.pad.clear() }, "Clear"),
        h("label", { class: "quiet button" }, "Picture", h("span", { class: "hidden" }, " from a file"), chooser),
      ),
      this.problem,
    );
    onDrop(field, (files) => void this.takeFiles(files));
    this.pad.show(this.drawings[0]!);
    this.select(0);
  }

  get label(): string {
    return this.name.value.trim() || `Class ${this.number}`;
  }

  get pictures(): Float32Array[] {
    return this.drawings.map(pictureOf).filter((picture): picture is Float32Array => picture !== null);
  }

  /** Its place among the classes, from 1, and whether it may go. */
  place(number: number, removable: boolean): void {
    this.number = number;
    this.removeButton.disabled = !removable;
    this.relabel();
  }

  focus(): void {
    this.name.focus();
    this.name.select();
  }

  repaint(): void {
    this.slots.forEach((_, i) => this.paintSlot(i));
  }

  private renamed(): void {
    this.relabel();
    this.changed(true);
  }

  private drawn(done: boolean): void {
    this.problem.textContent = "";
    if (done) this.paintSlot(this.selected);
    if (done) this.relabel();
    this.changed(done);
  }

  private select(i: number): void {
    this.selected = i;
    this.pad.show(this.drawings[i]!);
    this.relabel();
  }

  private async takeFiles(files: File[]): Promise<void> {
    this.problem.textContent = "";
    for (const file of files) {
      try {
        const { ink, height, width } = await inkOfFile(file);
        if (!isEmpty(this.drawings[this.selected]!)) {
          const free = this.drawings.findIndex(isEmpty);
          if (free < 0) throw new Error(`There are ${MOST_EXAMPLES} examples already. Clear one first.`);
          this.select(free);
        }
        if (!this.pad.take(ink, height, width)) throw new Error(`${file.name} is all of one shade. Choose another one.`);
      } catch (error) {
        this.problem.textContent = error instanceof Error ? error.message : String(error);
        return;
      }
    }
  }

  private relabel(): void {
    const label = this.label;
    this.name.setAttribute("aria-label", `Name of class ${this.number}`);
    this.removeButton.setAttribute("aria-label", `Remove class ${label}`);
    this.pad.call(`Example ${this.selected + 1} of ${label}`);
    const next = this.drawings.findIndex(isEmpty);
    this.slots.forEach((slot, i) => {
      const drawn = !isEmpty(this.drawings[i]!);
      slot.setAttribute("aria-label", `Example ${i + 1} of ${label}${drawn ? "" : ", empty"}`);
      slot.setAttribute("aria-pressed", String(i === this.selected));
      slot.classList.toggle("next", i === next && i !== this.selected);
    });
  }

  private paintSlot(i: number): void {
    const canvas = this.slots[i]!.querySelector("canvas")!;
    const context = canvas.getContext("2d")!;
    context.clearRect(0, 0, SIZE, SIZE);
    const picture = pictureOf(this.drawings[i]!);
    if (picture) drawPicture(context, picture, SIZE, getComputedStyle(canvas).color);
  }
}
