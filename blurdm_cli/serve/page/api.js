// The server's API: send a file, follow its job, fetch results.

export class Problem extends Error {
  constructor(row, status = 0) {
    super(row.error ?? "The server did not answer as expected");
    this.hint = row.hint ?? "";
    this.status = status;
  }
}

const UNREACHABLE = { error: "The server cannot be reached", hint: "Is blurdm serve still running?" };

async function answered(response) {
  if (response.ok) return response;
  throw new Problem(await response.json().catch(() => ({})), response.status);
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    throw error.name === "AbortError" ? error : new Problem(UNREACHABLE);
  }
  return answered(response);
}

export const models = async () => (await ask("api/models")).json();

export const result = async (job, options = {}) =>
  (await ask(`api/jobs/${job}/files/0?${new URLSearchParams(options)}`)).blob();

export const forget = job => fetch(`api/jobs/${job}`, { method: "DELETE", keepalive: true }).catch(() => {});

export async function motion(file, signal) {
  const form = new FormData();
  form.append("file", file, file.name);
  return (await ask("api/motion", { method: "POST", body: form, signal })).json();
}

// Send a file as a job; wait and try again while the queue is full.
export async function send(file, options, progress, signal) {
  const form = new FormData();
  form.append("file", file, file.name);
  for (const [name, value] of Object.entries(options)) form.append(name, value);
  for (;;) {
    const request = await upload("api/jobs", form, progress, signal);
    const row = JSON.parse(request.responseText || "{}");
    if (request.status === 202) return row.id;
    if (request.status !== 503) throw new Problem(row, request.status);
    await pause(Number(request.getResponseHeader("Retry-After") ?? 5), signal);
  }
}

// fetch() does not tell how much of a body is sent.
function upload(path, form, progress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.upload.onprogress = event => progress(event.loaded / event.total);
    request.onload = () => resolve(request);
    request.onerror = () => reject(new Problem(UNREACHABLE));
    request.onabort = () => reject(signal.reason);
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(form);
  });
}

const pause = (seconds, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, 1000 * seconds);
  signal.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
});

// Follow a job to its end; returns the row of its file.
export function follow(job, progress, signal) {
  return new Promise((resolve, reject) => {
    const events = new EventSource(`api/jobs/${job}/events`);
    let row = null, failures = 0;
    const end = (action, value) => { events.close(); action(value); };
    events.addEventListener("file", event => { row = JSON.parse(event.data); });
    events.addEventListener("job", event => {
      failures = 0;
      const state = JSON.parse(event.data);
      progress(state);
      if (state.failure) end(reject, new Problem(state.failure, state.failure.http_status));
      else if (["done", "failed"].includes(state.state)) {
        if (row?.status === "done") end(resolve, row);
        else end(reject, new Problem({ error: row?.message, hint: row?.hint }, row?.http_status));
      }
    });
    events.onerror = () => {
      failures += 1;
      if (events.readyState === EventSource.CLOSED || failures > 3) end(reject, new Problem(UNREACHABLE));
    };
    signal.addEventListener("abort", () => end(reject, signal.reason), { once: true });
  });
}
