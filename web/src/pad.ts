/** An area to draw in: by mouse, finger or pen, or by keyboard, or with a picture that was chosen. */

import { pictureOfInk, pictureOfStrokes, SIZE, type Stroke } from "./ink";
import { h } from "./dom";

/** What an example holds: strokes, or the picture that was made of a file. */
export interface Drawing {
  strokes: Stroke[];
  picture: Float32Array | null;
}

export function emptyDrawing(): Drawing {
  return { strokes: [], picture: null };
}

export function isEmpty(drawing: Drawing): boolean {
  return !drawing.picture && !drawing.strokes.length;
}

/** What the network reads; null if there is nothing. Bytes, as pictures that it was trained on have. */
export function pictureOf(drawing: Drawing): Float32Array | null {
  const picture = drawing.picture ?? pictureOfStrokes(drawing.strokes);
  return picture && picture.map((value) => Math.round(value * 255) / 255);
}

// Of the pad's width.
const LINE = 0.055;
const STEP = 1 / 24;
// Points nearer than this add nothing.
const NEAR = 0.004;

export class Pad {
  readonly canvas: HTMLCanvasElement;
  private drawing: Drawing = emptyDrawing();
  private pointer: number | null = null;
  private pen: { x: number; y: number; down: boolean } | null = null;

  /**
   * @param label What a screen reader calls it.
   * @param onChange Called while something is drawn, and at the end of every stroke.
   */
  constructor(
    label: string,
    private readonly onChange: (done: boolean) => void,
  ) {
    this.canvas = h("canvas", {
      class: "pad",
      tabindex: 0,
      role: "application",
      "aria-roledescription": "drawing area",
      "aria-label": label,
      "aria-describedby": "pad-help",
      onpointerdown: (event: PointerEvent) => this.begin(event),
      onpointermove: (event: PointerEvent) => this.follow(event),
      onpointerup: (event: PointerEvent) => this.end(event),
      onpointercancel: (event: PointerEvent) => this.end(event),
      onkeydown: (event: KeyboardEvent) => this.press(event),
      onblur: () => this.lift(),
    });
    new ResizeObserver(() => this.paint()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.paint());
  }

  show(drawing: Drawing): void {
    this.drawing = drawing;
    this.pen = null;
    this.paint();
  }

  call(label: string): void {
    this.canvas.setAttribute("aria-label", label);
  }

  undo(): void {
    if (this.drawing.strokes.pop() || this.drawing.picture) this.drawing.picture = null;
    this.changed(true);
  }

  clear(): void {
    this.drawing.strokes.length = 0;
    this.drawing.picture = null;
    this.pen = null;
    this.changed(true);
  }

  /** Take the ink of a picture that was chosen; whether there was any. */
  take(ink: Float64Array, height: number, width: number): boolean {
    const picture = pictureOfInk(ink, height, width);
    if (!picture) return false;
    this.drawing.strokes.length = 0;
    this.drawing.picture = picture;
    this.changed(true);
    return true;
  }

  private changed(done: boolean): void {
    this.paint();
    this.onChange(done);
  }

  private at(event: PointerEvent): [number, number] {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.width];
  }

  private begin(event: PointerEvent): void {
    if (this.pointer !== null || event.button !== 0) return;
    this.pointer = event.pointerId;
    this.canvas.setPointerCapture(event.pointerId);
    this.pen = null;
    this.drawing.picture = null;
    this.drawing.strokes.push(this.at(event));
    this.changed(false);
  }

  private follow(event: PointerEvent): void {
    if (event.pointerId !== this.pointer) return;
    const stroke = this.drawing.strokes.at(-1)!;
    const before = stroke.length;
    // All places since the last frame: a fast stroke is no polygon.
    const places = event.getCoalescedEvents?.() ?? [];
    for (const place of places.length ? places : [event]) {
      const [x, y] = this.at(place);
      if (Math.hypot(x - stroke.at(-2)!, y - stroke.at(-1)!) > NEAR) stroke.push(x, y);
    }
    if (stroke.length > before) this.changed(false);
  }

  private end(event: PointerEvent): void {
    if (event.pointerId !== this.pointer) return;
    this.pointer = null;
    this.changed(true);
  }

  private press(event: KeyboardEvent): void {
    const move = MOVES[event.key];
    if (move) {
      const pen = (this.pen ??= { x: 0.5, y: 0.5, down: false });
      const step = event.shiftKey ? 4 * STEP : STEP;
      pen.x = Math.min(0.96, Math.max(0.04, pen.x + move[0] * step));
      pen.y = Math.min(0.96, Math.max(0.04, pen.y + move[1] * step));
      if (pen.down) this.drawing.strokes.at(-1)!.push(pen.x, pen.y);
      if (pen.down) this.changed(false);
      else this.paint();
    } else if (event.key === " ") {
      const pen = (this.pen ??= { x: 0.5, y: 0.5, down: false });
      if (pen.down) this.lift();
      else {
        pen.down = true;
        this.drawing.picture = null;
        this.drawing.strokes.push([pen.x, pen.y]);
        this.changed(false);
      }
    } else if (event.key === "Backspace" && !event.ctrlKey && !event.metaKey) this.undo();
    else if (event.key === "Delete") this.clear();
    else return;
    event.preventDefault();
  }

  private lift(): void {
    if (this.pen?.down) {
      this.pen.down = false;
      this.changed(true);
    } else if (document.activeElement !== this.canvas && this.pen) {
      this.pen = null;
      this.paint();
    }
  }

  private paint(): void {
    const size = Math.round(this.canvas.clientWidth * (window.devicePixelRatio || 1));
    if (!size) return;
    if (this.canvas.width !== size) this.canvas.width = this.canvas.height = size;
    const context = this.canvas.getContext("2d")!;
    const style = getComputedStyle(this.canvas);
    context.clearRect(0, 0, size, size);
    if (this.drawing.picture) drawPicture(context, this.drawing.picture, size, style.color);
    context.strokeStyle = context.fillStyle = style.color;
    context.lineWidth = LINE * size;
    context.lineCap = context.lineJoin = "round";
    for (const stroke of this.drawing.strokes) {
      context.beginPath();
      context.moveTo(stroke[0]! * size, stroke[1]! * size);
      for (let i = 2; i < stroke.length; i += 2) context.lineTo(stroke[i]! * size, stroke[i + 1]! * size);
      if (stroke.length === 2) context.lineTo(stroke[0]! * size + 0.01, stroke[1]! * size);
      context.stroke();
    }
    if (this.pen) this.paintPen(context, size, style.getPropertyValue("--accent"));
  }

  private paintPen(context: CanvasRenderingContext2D, size: number, colour: string): void {
    const { x, y, down } = this.pen!;
    context.strokeStyle = context.fillStyle = colour;
    context.lineWidth = Math.max(2, size / 90);
    context.beginPath();
    context.arc(x * size, y * size, 0.045 * size, 0, 2 * Math.PI);
    if (down) context.fill();
    else context.stroke();
  }
}

const MOVES: Record<string, [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** A picture [28, 28] of ink in one colour, over the whole of a context. */
export function drawPicture(
  context: CanvasRenderingContext2D,
  picture: Float32Array,
  size: number,
  colour: string,
): void {
  const small = new OffscreenCanvas(SIZE, SIZE);
  const within = small.getContext("2d")!;
  within.fillStyle = colour;
  within.fillRect(0, 0, SIZE, SIZE);
  const image = within.getImageData(0, 0, SIZE, SIZE);
  picture.forEach((ink, i) => (image.data[4 * i + 3] = Math.round(255 * ink)));
  within.putImageData(image, 0, 0);
  context.imageSmoothingEnabled = size > 3 * SIZE;
  context.drawImage(small, 0, 0, size, size);
}
