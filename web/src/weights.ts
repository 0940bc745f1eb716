/** A picture of a network's weights: every number is a pixel. */

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

export interface Weights {
  name: string;
  shape: number[];
  values: Float32Array;
}

/** The tensors of a safetensors file, in the order in which they lie in it. */
export function tensorsOf(file: ArrayBuffer): Weights[] {
  const length = Number(new DataView(file).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(file, 8, length))) as Record<string, Entry>;
  return Object.entries(header)
    .filter(([name, entry]) => name !== "__metadata__" && entry.dtype === "F32")
    .map(([name, { shape, data_offsets: [from, to] }]) => ({
      name,
      shape,
      // A copy: floats must lie at multiples of four.
      values: new Float32Array(file.slice(8 + length + from, 8 + length + to)),
    }));
}

/** A tensor as tiles of one size in a grid. */
interface Tiles {
  tall: number;
  wide: number;
  rows: number;
  columns: number;
  /** Numbers of one tile; its last line may be cut. */
  each: number;
  /** Whether tiles follow each other down a column of the grid, or along a row. */
  downwards: boolean;
  values: Float32Array;
}

// Between layers, and between the tiles of one, in pixels.
const GAP = 4;
const SEAM = 1;
const TALLEST = 64;

/** Kernels as tiles, a class of the head as one; layers from left to right, as numbers run through them. */
export function drawWeights(canvas: HTMLCanvasElement, tensors: Weights[]): void {
  const layers = inOrder(tensors).map(tilesOf);
  const width = layers.reduce((sum, layer) => sum + widthOf(layer) + GAP, -GAP);
  const height = Math.max(...layers.map(heightOf));
  const small = new OffscreenCanvas(width, height);
  const context = small.getContext("2d")!;
  const image = context.createImageData(width, height);
  let left = 0;
  for (const layer of layers) {
    const top = Math.floor((height - heightOf(layer)) / 2);
    const scale = 255 / (spread(layer.values) || 1);
    layer.values.forEach((value, i) => {
      const [x, y] = placeOf(layer, i);
      const colour = value < 0 ? COLD : WARM;
      const strength = Math.min(255, Math.round(Math.abs(value) * scale));
      image.data.set([...colour, strength], 4 * ((top + y) * width + left + x));
    });
    left += widthOf(layer) + GAP;
  }
  context.putImageData(image, 0, 0);
  show(canvas, small);
}

/** A small picture as large as fits, its pixels all of one size. */
function show(canvas: HTMLCanvasElement, small: OffscreenCanvas): void {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(canvas.clientWidth * ratio);
  canvas.height = Math.round(canvas.clientHeight * ratio);
  const fitting = Math.min(canvas.width / small.width, canvas.height / small.height);
  const scale = fitting > 1 ? Math.floor(fitting) : fitting;
  const [width, height] = [small.width * scale, small.height * scale];
  const context = canvas.getContext("2d")!;
  context.imageSmoothingEnabled = scale < 1;
  context.drawImage(small, Math.floor((canvas.width - width) / 2), Math.floor((canvas.height - height) / 2), width, height);
}

// Seen on light and on dark paper, and told apart by the colour-blind.
const COLD: [number, number, number] = [52, 126, 212];
const WARM: [number, number, number] = [226, 114, 40];

function inOrder(tensors: Weights[]): Weights[] {
  const depth = (name: string) => (name.includes("head") ? 1e6 : Number(/(\d+)/.exec(name)?.[1] ?? 0));
  const part = (tensor: Weights) => (tensor.name.includes("norm") ? 2 : 0) + (tensor.shape.length > 1 ? 0 : 1);
  return [...tensors].sort((a, b) => depth(a.name) - depth(b.name) || part(a) - part(b));
}

function tilesOf({ shape, values }: Weights): Tiles {
  const [outputs = 1, inputs = 1, tall = 1, wide = 1] = shape;
  if (shape.length > 2) {
    return { tall, wide, rows: outputs, columns: inputs, each: tall * wide, downwards: false, values };
  }
  if (outputs > TALLEST / 4) {
    return { tall: outputs, wide: inputs, rows: 1, columns: 1, each: values.length, downwards: true, values };
  }
  const side = Math.ceil(Math.sqrt(inputs));
  const rows = Math.min(outputs, Math.floor((TALLEST + SEAM) / (side + SEAM)) || 1);
  const columns = Math.ceil(outputs / rows);
  return { tall: Math.ceil(inputs / side), wide: side, rows, columns, each: inputs, downwards: true, values };
}

function widthOf({ wide, columns }: Tiles): number {
  return columns * (wide + SEAM) - SEAM;
}

function heightOf({ tall, rows }: Tiles): number {
  return rows * (tall + SEAM) - SEAM;
}

function placeOf({ tall, wide, rows, columns, each, downwards }: Tiles, i: number): [number, number] {
  const [tile, within] = [Math.floor(i / each), i % each];
  const [column, row] = downwards ? [Math.floor(tile / rows), tile % rows] : [tile % columns, Math.floor(tile / columns)];
  return [column * (wide + SEAM) + (within % wide), row * (tall + SEAM) + Math.floor(within / wide)];
}

/** What nearly all values lie within. */
function spread(values: Float32Array): number {
  const sizes = values.map(Math.abs).sort();
  return sizes[Math.floor(0.98 * (sizes.length - 1))] ?? 1;
}
