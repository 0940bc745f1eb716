/** A network in the browser: the exported ONNX file, run by onnxruntime-web, and no server. */

import * as ort from "onnxruntime-web/wasm";
import { SIZE } from "./ink";

export interface Network {
  /** Probabilities of the classes for one picture. */
  classify(picture: Float32Array): Promise<Float32Array>;
  /** What the network says before probabilities are formed. */
  logits(picture: Float32Array): Promise<Float32Array>;
  release(): void;
}

const OPTIONS: ort.InferenceSession.SessionOptions = { executionProviders: ["wasm"] };
let runtime: Promise<void> | null = null;

/** y = x as ONNX, 67 bytes: the runtime is compiled when the first session is made. */
const IDENTITY = "CAgSADo3ChAKAXgSAXkiCElkZW50aXR5EgFnWg8KAXgSCgoICAESBAoCCAFiDwoBeRIKCggIARIECgIIAUIECgAQEg==";

/** Fetch and compile the runtime, once; called early, so that it is there when the first network is. */
export function prepare(): Promise<void> {
  runtime ??= load().catch((error: unknown) => {
    runtime = null;
    throw error;
  });
  return runtime;
}

async function load(): Promise<void> {
  const response = await fetch("assets/onnxruntime.wasm.gz");
  if (!response.ok || !response.body) throw new Error(`The runtime could not be fetched (${response.status}).`);
  const packed = new Uint8Array(await response.arrayBuffer());
  // A proxy may have unpacked it already.
  const isPacked = packed[0] === 0x1f && packed[1] === 0x8b;
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  ort.env.wasm.wasmBinary = isPacked ? await new Response(stream).arrayBuffer() : packed.buffer;
  // Once a start of the runtime has failed it refuses all others, for as long as the page is open. So all that it would
  // fetch is there before it starts: a server that is gone for a moment does not leave the page without networks.
  const glue = new URL("assets/ort-wasm-simd-threaded.mjs", document.baseURI).href;
  await import(/* @vite-ignore */ glue);
  ort.env.wasm.wasmPaths = { mjs: glue };
  // One thread: more need headers that keep the page from being framed or linked to.
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "error";
  const smallest = Uint8Array.from(atob(IDENTITY), (letter) => letter.charCodeAt(0));
  await (await ort.InferenceSession.create(smallest, OPTIONS)).release();
}

export async function open(onnx: ArrayBuffer): Promise<Network> {
  await prepare();
  const session = await ort.InferenceSession.create(onnx, OPTIONS);
  // The runtime works on one input at a time.
  let last: Promise<unknown> = Promise.resolve();

  async function logits(picture: Float32Array): Promise<Float32Array> {
    const x = new ort.Tensor("float32", picture, [1, 1, SIZE, SIZE]);
    const turn = last.then(() => session.run({ x }));
    last = turn.catch(() => undefined);
    return (await turn)["y"]!.data as Float32Array;
  }

  return {
    logits,
    classify: async (picture) => softmax(await logits(picture)),
    release: () => void last.then(() => session.release()),
  };
}

function softmax(logits: Float32Array): Float32Array {
  const largest = Math.max(...logits);
  const odds = logits.map((value) => Math.exp(value - largest));
  const sum = odds.reduce((a, b) => a + b, 0);
  return odds.map((value) => value / sum);
}
