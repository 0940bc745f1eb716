/** Probabilities of classes as bars, in the order of the classes. */

import { h, say } from "./dom";

export class Bars {
  readonly element = h("ol", { class: "bars", "aria-label": "Probabilities" });
  private rows: { item: HTMLLIElement; name: HTMLElement; bar: HTMLElement; share: HTMLElement }[] = [];

  /** Names of the classes; bars are empty until something is shown. */
  call(labels: string[]): void {
    while (this.rows.length > labels.length) this.rows.pop()!.item.remove();
    while (this.rows.length < labels.length) {
      const [name, share] = [h("span", { class: "label" }), h("span", { class: "share" })];
      const bar = h("span", { class: "fill" });
      const item = h("li", {}, name, h("span", { class: "track", "aria-hidden": "true" }, bar), share);
      this.rows.push({ item, name, bar, share });
      this.element.append(item);
    }
    labels.forEach((label, i) => say(this.rows[i]!.name, label));
  }

  show(shares: ArrayLike<number> | null): void {
    const largest = shares ? Math.max(...Array.from(shares)) : -1;
    this.rows.forEach(({ item, bar, share }, i) => {
      const value = shares?.[i] ?? 0;
      bar.style.transform = `scaleX(${value})`;
      say(share, shares ? percent(value) : "");
      item.classList.toggle("most", value === largest);
      item.dataset["share"] = shares ? String(value) : "";
    });
  }
}

export function percent(share: number): string {
  if (share > 0.994 && share < 1) return "> 99 %";
  return `${Math.round(100 * share)} %`;
}
