import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

const root = import.meta.dirname;
// What decides the built files; a test of the Python package computes the same digest.
const SOURCES = ["index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts", "public", "src"];

function filesOf(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path).flatMap((name) => filesOf(join(path, name)));
}

/** sha256 over the sha256 of every source file, beside its path, in the order of paths. */
function digestOfSources(): string {
  const lines = SOURCES.flatMap((name) => filesOf(join(root, name)))
    .map((path) => {
      const digest = createHash("sha256").update(readFileSync(path)).digest("hex");
      return `${relative(root, path).split(sep).join("/")} ${digest}\n`;
    })
    .sort();
  return createHash("sha256").update(lines.join("")).digest("hex");
}

/** One runtime, packed: 2.9 MB in place of 11; the page unpacks it. The raw file that the bundler found is left out. */
function packedRuntime(): Plugin {
  return {
    name: "packed-runtime",
    generateBundle(_, bundle) {
      for (const name of Object.keys(bundle)) if (name.endsWith(".wasm")) delete bundle[name];
      const from = join(root, "node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded");
      const packed = gzipSync(readFileSync(`${from}.wasm`), { level: 9 });
      this.emitFile({ type: "asset", fileName: "assets/onnxruntime.wasm.gz", source: packed });
      // Looked for beside the script, by this name.
      const glue = readFileSync(`${from}.mjs`);
      this.emitFile({ type: "asset", fileName: "assets/ort-wasm-simd-threaded.mjs", source: glue });
      this.emitFile({ type: "asset", fileName: "sources.sha256", source: `${digestOfSources()}\n` });
    },
  };
}

export default defineConfig({
  root,
  base: "./",
  plugins: [packedRuntime()],
  build: {
    outDir: "../src/netwright/serving/static",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    // The policy of the page allows no data: scripts or styles.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1000,
  },
  server: { proxy: { "/v1": "http://127.0.0.1:8000" } },
});
