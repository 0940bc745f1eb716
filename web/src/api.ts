/** The server's routes, typed; whatever goes wrong becomes a sentence. */

export interface Hypernetwork {
  name: string;
  kind: string | null;
  input_shape: number[];
  accepts: string[];
  classes: { min: number; max: number } | null;
  parameters: number;
}

export interface Written {
  id: string;
  parameters: number;
  bytes: number;
  milliseconds: number;
  labels: string[];
}

/** A value and the ends of its 95 % interval. */
export type Interval = [number, number, number];

export interface TableResult {
  id: string;
  rows: number;
  columns: number;
  target: string;
  classes: string[];
  folds: number;
  scores: Record<string, Record<string, Interval>>;
  calibration: { sure: number; right: number; rows: number }[];
  parameters: number;
  bytes: number;
  milliseconds: number;
  formats: string[];
}

export interface RunLine {
  name: string;
  kind: "run" | "comparison";
  title: string;
  steps: number | null;
  planned_steps: number | null;
  best: number | null;
  metric: string | null;
}

export interface Evaluation {
  split: string;
  tasks: number;
  metrics: Record<string, Interval>;
  shuffled: Record<string, Interval>;
  calibration_error: number | null;
  parameters: number;
  generate_ms: number;
}

export interface ComparisonSetting {
  name: string;
  reference: string;
  higher_is_better: boolean;
  rows: { learner: string; estimate: Interval | null; verdict: string }[];
}

export interface RunDetail extends RunLine {
  record: Record<string, unknown> | null;
  metric: string | null;
  curves: { step: number; loss: number | null; validation_loss: number | null; validation: number | null }[];
  evaluations: Evaluation[];
  question: string;
  settings: ComparisonSetting[];
  report: boolean;
}

export class ServerError extends Error {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message);
  }
}

const KEY = "netwright-token";

export function useToken(token: string): void {
  sessionStorage.setItem(KEY, token);
}

async function ask(path: string, options: RequestInit = {}): Promise<Response> {
  const headers = new Headers(options.headers);
  const token = sessionStorage.getItem(KEY);
  if (token) headers.set("Authorization", `Bearer ${token}`);
  let response: Response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ServerError("The server cannot be reached. Is it still running?", 0);
  }
  if (response.ok) return response;
  const body: unknown = await response.json().catch(() => null);
  const told = (body as { error?: { message?: string } } | null)?.error?.message;
  const fallback = `The server answered with status ${response.status}.`;
  if (response.status === 401) {
    document.dispatchEvent(new CustomEvent("token-needed"));
    throw new ServerError("This server asks for a token.", 401);
  }
  const wait = response.headers.get("Retry-After");
  const later = response.status === 429 ? ` Try again in ${wait ?? "a few"} s.` : "";
  throw new ServerError((told ?? fallback) + later, response.status);
}

export async function hypernetworks(): Promise<Hypernetwork[]> {
  const found: unknown = await (await ask("v1/hypernetworks")).json();
  return (Array.isArray(found) ? found : (found as { hypernetworks: Hypernetwork[] }).hypernetworks) as Hypernetwork[];
}

export async function write(
  hypernetwork: string,
  x: number[][][][],
  y: number[],
  labels: string[],
  signal: AbortSignal,
): Promise<Written> {
  const body = JSON.stringify({ hypernetwork, condition: { examples: { x, y } }, labels });
  const headers = { "Content-Type": "application/json" };
  return (await ask("v1/networks", { method: "POST", body, headers, signal })).json() as Promise<Written>;
}

export async function exported(id: string, format: string, signal?: AbortSignal): Promise<ArrayBuffer> {
  const path = `v1/networks/${encodeURIComponent(id)}/export?format=${encodeURIComponent(format)}`;
  return (await ask(path, signal ? { signal } : {})).arrayBuffer();
}

/** Forget a network that was written over; if that fails, it only stays for longer. */
export function forget(id: string): void {
  ask(`v1/networks/${encodeURIComponent(id)}`, { method: "DELETE" }).catch(() => undefined);
}

export async function writeForTable(file: File, target: string, signal: AbortSignal): Promise<TableResult> {
  const body = new FormData();
  body.set("file", file, file.name);
  body.set("target", target);
  return (await ask("v1/tables", { method: "POST", body, signal })).json() as Promise<TableResult>;
}

export async function exportedTable(id: string, format: string): Promise<Blob> {
  const path = `v1/tables/${encodeURIComponent(id)}/export?format=${encodeURIComponent(format)}`;
  return (await ask(path)).blob();
}

export async function runs(): Promise<RunLine[]> {
  return (await ask("v1/runs")).json() as Promise<RunLine[]>;
}

export async function report(name: string): Promise<Blob> {
  return (await ask(`v1/runs/${encodeURIComponent(name)}/report`)).blob();
}

export async function run(name: string): Promise<RunDetail> {
  return (await ask(`v1/runs/${encodeURIComponent(name)}`)).json() as Promise<RunDetail>;
}
