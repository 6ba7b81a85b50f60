/** The service's HTTP interface: requests, problem details, and the key. */

const ROOT = new URL("..", import.meta.url);
const STORED = "synaptoroute-key";
const TIMEOUT_MS = 30_000;
const PROBLEMS = "urn:synaptoroute:";

/** An answer that is not a success, as the service describes it (RFC 9457). */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `The service answered with status ${status}.`);
    this.status = status;
    this.slug = (body.type ?? "").replace(PROBLEMS, "");
    this.title = body.title ?? "Error";
    this.errors = body.errors ?? [];
    this.requestId = body.request_id ?? "";
    this.body = body;
  }
}

/** The service could not be reached at all, or did not answer in time. */
export class Unreachable extends Error {}

export const key = {
  get: () => sessionStorage.getItem(STORED),
  set: (value) => sessionStorage.setItem(STORED, value),
  forget: () => sessionStorage.removeItem(STORED),
};

/**
 * Ask the service.
 *
 * @param {string} method
 * @param {string} path Without the leading slash.
 * @param {object} options `body` is sent as JSON; `revision` makes the change fail if the router has moved on.
 * @returns {Promise<object>} The answer's body.
 * @throws {Problem|Unreachable|DOMException} The last if `signal` was aborted.
 */
export async function call(method, path, { body, revision, signal } = {}) {
  const response = await send(method, path, { body, revision, signal });
  const answer = await read(response);
  if (!response.ok) throw new Problem(response.status, answer);
  return answer;
}

/** Whether the service is ready: an open address, and 503 is an answer too. */
export async function readiness() {
  return read(await send("GET", "health/ready"));
}

export const routePath = (name, rest = "") => `routes/${encodeURIComponent(name)}${rest}`;

async function send(method, path, { body, revision, signal } = {}) {
  const headers = new Headers({ Accept: "application/json" });
  if (body !== undefined) headers.set("Content-Type", "application/json");
  if (revision !== undefined) headers.set("If-Match", `"${revision}"`);
  if (key.get()) headers.set("Authorization", `Bearer ${key.get()}`);
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  try {
    return await fetch(new URL(path, ROOT), {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      credentials: "omit",
      cache: "no-store",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Unreachable("The service cannot be reached. Is it still running?", { cause: error });
  }
}

async function read(response) {
  if (!(response.headers.get("Content-Type") ?? "").includes("json")) return {};
  return response.json();
}
