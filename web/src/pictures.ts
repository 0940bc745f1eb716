/** Pictures that a person chose or dropped, as ink. */

import { inkOfPixels } from "./ink";

const LARGEST = 384;
const MOST_BYTES = 20e6;

export interface Ink {
  ink: Float64Array;
  height: number;
  width: number;
}

export async function inkOfFile(file: File): Promise<Ink> {
  if (file.size > MOST_BYTES) throw new Error(`${file.name} has more than 20 MB. Choose a smaller picture.`);
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Error(`${file.name} is no picture that this browser can read. Choose a PNG or JPEG.`);
  }
  const scale = Math.min(1, LARGEST / Math.max(bitmap.width, bitmap.height));
  const width = Math.max(1, Math.round(bitmap.width * scale));
  const height = Math.max(1, Math.round(bitmap.height * scale));
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true })!;
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  return { ink: inkOfPixels(context.getImageData(0, 0, width, height).data, height, width), height, width };
}

/** Let pictures, or other files, be dropped on an element. */
export function onDrop(element: HTMLElement, take: (files: File[]) => void): void {
  element.addEventListener("dragover", (event) => {
    event.preventDefault();
    element.classList.add("dropping");
  });
  element.addEventListener("dragleave", () => element.classList.remove("dropping"));
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    element.classList.remove("dropping");
    take([...(event.dataTransfer?.files ?? [])]);
  });
}
