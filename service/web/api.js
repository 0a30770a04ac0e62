// The server's API, its errors, and what it keeps.

const kept = document.documentElement.dataset.store;

/** Whether explanations are kept; and whether with their inputs, without which there are neither pictures nor tests of them. */
export const KEEPS = kept !== "none";
export const KEEPS_INPUTS = kept === "all";

/** An error as the server answers it (RFC 9457): title, what was expected and received, and where. */
export class Problem extends Error {
  constructor(status, { title, detail, errors }) {
    super(detail ?? title);
    this.status = status;
    this.title = title;
    this.faults = errors ?? [];
  }
}

/** The JSON that the server answers; throws a Problem. */
export async function get(path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const query = new URLSearchParams(given).toString();
  return answer(query ? `${path}?${query}` : path, {});
}

/** Likewise, of a POST. */
export const post = (path, body) =>
  answer(path, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });

/** Runs work for the latest arguments only: while it runs, all that comes but the last is dropped. */
export function latest(work) {
  let waiting = null;
  let running = null;
  async function run() {
    try {
      while (waiting !== null) {
        const given = waiting;
        waiting = null;
        await work(...given);
      }
    } finally {
      running = null;
    }
  }
  return (...given) => {
    waiting = given;
    running ??= run();
    return running;
  };
}

async function answer(url, request) {
  let response;
  try {
    response = await fetch(url, { ...request, headers: { Accept: "application/json", ...request.headers } });
  } catch (error) {
    throw new Problem(0, { title: "No answer", detail: `expected an answer from ${location.host}, received none (${error.message})` });
  }
  const text = await response.text();
  if (response.ok) return JSON.parse(text);
  throw new Problem(response.status, read(response, text));
}

function read(response, text) {
  if (response.headers.get("content-type")?.includes("json")) return JSON.parse(text);
  return { title: response.statusText || "Error", detail: `${response.status} ${text.slice(0, 200)}` };
}
