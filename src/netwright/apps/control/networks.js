"use strict";
// A hypernetwork and the child that it writes, as lists of layers; all numbers are Float32Array, products are in double.
function floats(text) {
  const bytes = typeof atob === "function" ? Uint8Array.from(atob(text), (c) => c.charCodeAt(0)) : Buffer.from(text, "base64");
  return new Float32Array(Uint8Array.from(bytes).buffer);
}

function erf(x) {
  // Abramowitz and Stegun 7.1.26 is too coarse; this continued form is good to 1.2e-7.
  const t = 1 / (1 + 0.5 * Math.abs(x));
  const tau = t * Math.exp(-x * x - 1.26551223 + t * (1.00002368 + t * (0.37409196 + t * (0.09678418 + t * (-0.18628806 +
    t * (0.27886807 + t * (-1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277)))))))));
  return x >= 0 ? 1 - tau : tau - 1;
}

const ACTIVATIONS = {
  gelu: (v) => 0.5 * v * (1 + erf(v / Math.SQRT2)),
  silu: (v) => v / (1 + Math.exp(-v)),
  tanh: Math.tanh,
  relu: (v) => Math.max(0, v),
};

function linear(weight, bias, x) {
  const out = new Float64Array(bias.length), width = x.length;
  for (let o = 0; o < out.length; o++) {
    let sum = bias[o];
    for (let i = 0; i < width; i++) sum += weight[o * width + i] * x[i];
    out[o] = sum;
  }
  return out;
}

function norm(weight, bias, x) {
  let mean = 0, square = 0;
  for (const v of x) mean += v / x.length;
  for (const v of x) square += (v - mean) ** 2 / x.length;
  return x.map((v, i) => (v - mean) / Math.sqrt(square + 1e-5) * weight[i] + bias[i]);
}

function through(layers, x) {
  for (const layer of layers) {
    if (layer.kind === "linear") x = linear(layer.weight, layer.bias, x);
    else if (layer.kind === "norm") x = norm(layer.weight, layer.bias, x);
    else x = x.map(ACTIVATIONS[layer.kind]);
  }
  return x;
}

// From a context to the child's layers.
function write(hypernetwork, context) {
  const numbers = through(hypernetwork.layers, Float64Array.from(context));
  const child = [];
  for (const layer of hypernetwork.child) {
    if (layer.kind !== "linear") { child.push(layer); continue; }
    const [start, split, end] = layer.at;
    child.push({ kind: "linear", weight: numbers.subarray(start, split), bias: numbers.subarray(split, end) });
  }
  return child;
}

function unpack(record) {
  for (const layer of record.layers) {
    if (layer.weight !== undefined) { layer.weight = floats(layer.weight); layer.bias = floats(layer.bias); }
  }
  return record;
}
