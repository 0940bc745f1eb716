import "./style.css";
import { inkOfPixels, pictureOfInk, pictureOfStrokes } from "./ink";
import { useToken } from "./api";
import { h } from "./dom";
import { DrawView } from "./draw";
import { RunsView } from "./runs";
import { TableView } from "./table";

const main = document.querySelector("main")!;
const draw = new DrawView();
const table = new TableView();
const runs = new RunsView();
const views: Record<string, { element: HTMLElement; title: string; enter?: () => void }> = {
  draw: { element: draw.element, title: "Draw" },
  table: { element: table.element, title: "Table" },
  runs: { element: runs.element, title: "Runs", enter: () => void runs.refresh() },
};

/** Show the part that the address names. */
function route(byHand: boolean): void {
  const name = location.hash.slice(1);
  const chosen = name in views ? name : "draw";
  for (const [own, view] of Object.entries(views)) view.element.hidden = own !== chosen;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === `#${chosen}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const view = views[chosen]!;
  document.title = `${view.title} · Netwright studio`;
  view.enter?.();
  // So that a screen reader says where one is; the address bar of a first visit keeps the focus.
  if (byHand) view.element.querySelector<HTMLElement>("h1")?.focus();
}

function askForToken(): void {
  if (document.querySelector("#token")) return;
  const field = h("input", { id: "token", type: "password", autocomplete: "off", required: true });
  const form = h(
    "form",
    {
      class: "panel token",
      onsubmit: (event: Event) => {
        event.preventDefault();
        useToken(field.value.trim());
        location.reload();
      },
    },
    h("label", { for: "token" }, "This server asks for a token"),
    field,
    h("button", { type: "submit", class: "primary" }, "Use it"),
  );
  main.prepend(form);
  field.focus();
}

// For tests, and for whoever looks into the console.
Object.assign(window, { studio: { draw, inkOfPixels, pictureOfInk, pictureOfStrokes } });
main.append(...Object.values(views).map((view) => view.element));
document.querySelector(".skip")!.addEventListener("click", (event) => {
  // The address names the part that is shown, and nothing else.
  event.preventDefault();
  main.focus();
});
document.addEventListener("token-needed", askForToken);
window.addEventListener("hashchange", () => route(true));
// A file that misses its place must not take the page away.
for (const kind of ["dragover", "drop"]) document.addEventListener(kind, (event) => event.preventDefault());
route(false);
