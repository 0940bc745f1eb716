/** From what a hand drew to the picture that a network reads: the same numbers as `netwright.tasks.ink`. */

export const SIZE = 28;
/** The longer side of what is drawn, in pixels of the picture. */
const INK = 20;
/** Width of a pen, in pixels of the picture. */
const PEN = 2;
/** Lighter ink than this share of the darkest is paper. */
const PAPER = 0.25;

/** Points x, y, x, y, ... in any unit, y downwards; one point is a dot. */
export type Stroke = number[];

/** A picture of strokes, centred, its longer side of one length, its edges soft; null without a stroke. */
export function pictureOfStrokes(strokes: readonly Stroke[]): Float32Array | null {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const stroke of strokes) {
    for (let i = 0; i < stroke.length; i += 2) {
      left = Math.min(left, stroke[i]!);
      right = Math.max(right, stroke[i]!);
      top = Math.min(top, stroke[i + 1]!);
      bottom = Math.max(bottom, stroke[i + 1]!);
    }
  }
  if (left === Infinity) return null;
  const side = Math.max(right - left, bottom - top);
  const scale = side > 0 ? (INK - PEN) / side : 0;
  const place = (value: number, low: number, high: number) => (value - (low + high) / 2) * scale + SIZE / 2;
  const nearest = new Float64Array(SIZE * SIZE).fill(Infinity);
  for (const stroke of strokes) {
    for (let i = 0; i < Math.max(stroke.length - 2, 2) && stroke.length; i += 2) {
      const end = stroke.length > 2 ? i + 2 : i;
      const [x0, y0] = [place(stroke[i]!, left, right), place(stroke[i + 1]!, top, bottom)];
      const [x1, y1] = [place(stroke[end]!, left, right), place(stroke[end + 1]!, top, bottom)];
      comeNearer(nearest, x0, y0, x1, y1);
    }
  }
  return Float32Array.from(nearest, (square) => clamp(PEN / 2 + 0.5 - Math.sqrt(square)));
}

/** A picture of any size as a network reads it: cut to its ink, centred, averaged over areas; null without ink. */
export function pictureOfInk(ink: ArrayLike<number>, height: number, width: number): Float32Array | null {
  let darkest = 0;
  for (let i = 0; i < ink.length; i++) darkest = Math.max(darkest, ink[i]!);
  if (!(darkest > 0)) return null;
  let [left, top, right, bottom] = [width, height, -1, -1];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (ink[y * width + x]! <= PAPER * darkest) continue;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y);
    }
  }
  const pixel = Math.max(right + 1 - left, bottom + 1 - top) / INK;
  const down = overlaps(height, (top + bottom + 1) / 2, pixel);
  const across = overlaps(width, (left + right + 1) / 2, pixel);
  const picture = new Float32Array(SIZE * SIZE);
  for (let row = 0; row < SIZE; row++) {
    for (let column = 0; column < SIZE; column++) {
      let sum = 0;
      for (const [y, tall] of down[row]!) {
        for (const [x, wide] of across[column]!) sum += tall * wide * ink[y * width + x]!;
      }
      picture[row * SIZE + column] = clamp(sum / darkest);
    }
  }
  return picture;
}

/** Ink of a photograph or scan: how far each pixel is from the paper, whose shade is that of most of the rim. */
export function inkOfPixels(rgba: Uint8ClampedArray, height: number, width: number): Float64Array {
  const light = new Float64Array(height * width);
  for (let i = 0; i < light.length; i++) {
    const [r, g, b, a] = [rgba[4 * i]!, rgba[4 * i + 1]!, rgba[4 * i + 2]!, rgba[4 * i + 3]! / 255];
    light[i] = ((0.299 * r + 0.587 * g + 0.114 * b) / 255) * a + (1 - a);
  }
  const rim: number[] = [];
  for (let x = 0; x < width; x++) rim.push(light[x]!, light[(height - 1) * width + x]!);
  for (let y = 0; y < height; y++) rim.push(light[y * width]!, light[(y + 1) * width - 1]!);
  rim.sort((a, b) => a - b);
  const paper = rim[rim.length >> 1]!;
  // Shadows and grain of the paper are no ink.
  return light.map((value) => Math.max(0, Math.abs(value - paper) - 0.08));
}

/** Which old pixels each new one covers, and which share of it each makes up. */
function overlaps(length: number, middle: number, pixel: number): [number, number][][] {
  return Array.from({ length: SIZE }, (_, i) => {
    const [low, high] = [middle + (i - SIZE / 2) * pixel, middle + (i + 1 - SIZE / 2) * pixel];
    const found: [number, number][] = [];
    for (let old = Math.max(0, Math.floor(low)); old < Math.min(length, Math.ceil(high)); old++) {
      const shared = Math.min(high, old + 1) - Math.max(low, old);
      if (shared > 0) found.push([old, shared / pixel]);
    }
    return found;
  });
}

function comeNearer(nearest: Float64Array, x0: number, y0: number, x1: number, y1: number): void {
  const [dx, dy] = [x1 - x0, y1 - y0];
  const length = dx * dx + dy * dy;
  for (let row = 0; row < SIZE; row++) {
    for (let column = 0; column < SIZE; column++) {
      const [x, y] = [column + 0.5 - x0, row + 0.5 - y0];
      const along = length > 0 ? clamp((x * dx + y * dy) / length) : 0;
      const square = (x - along * dx) ** 2 + (y - along * dy) ** 2;
      const i = row * SIZE + column;
      if (square < nearest[i]!) nearest[i] = square;
    }
  }
}

function clamp(value: number): number {
  return Math.min(1, Math.max(0, value));
}
