// What the page asks of the server: one signed-in fetch, and its two kinds of stream.

export class Problem extends Error {
  constructor(status, detail) {
    super(sentence(detail) || `The server answered ${status}.`);
    this.status = status;
  }
}

// What fetch and its streams throw when the line is cut: browsers word it each their own way.
export class Away extends Error {
  constructor() {
    super("The server does not answer.");
  }
}

const away = (error) => {
  throw error instanceof TypeError ? new Away() : error;
};

function sentence(detail) {
  if (typeof detail === "string") return detail;
  if (Array.isArray(detail)) {
    return detail.map((one) => [one.loc?.slice(1).join("."), one.msg].filter(Boolean).join(": ")).join("; ");
  }
  return detail?.message ?? "";
}

let token = cookie("access_token_lf");
let refreshing = null;

function cookie(name) {
  const found = document.cookie.split("; ").find((pair) => pair.startsWith(`${name}=`));
  return found ? decodeURIComponent(found.slice(name.length + 1)) : "";
}

async function problem(response) {
  const body = await response.json().catch(() => ({}));
  return new Problem(response.status, body.detail ?? body.message);
}

async function send(path, { method = "GET", json, body, headers = {}, signal } = {}) {
  const all = { Accept: "application/json", ...headers };
  if (token) all.Authorization = `Bearer ${token}`;
  if (json !== undefined) all["Content-Type"] = "application/json";
  return fetch(`/api/v1${path}`, {
    method,
    headers: all,
    body: json === undefined ? body : JSON.stringify(json),
    signal,
    credentials: "same-origin",
  }).catch(away);
}

// Refresh tokens are used once, so that concurrent calls must share one refresh.
function refreshed() {
  refreshing ??= fetch("/api/v1/refresh", { method: "POST", credentials: "same-origin" })
    .then(async (response) => response.ok && keep(await response.json()))
    .catch(() => false)
    .finally(() => { refreshing = null; });
  return refreshing;
}

function keep(tokens) {
  token = tokens.access_token;
  return true;
}

export async function open(path, options) {
  let response = await send(path, options);
  if (response.status === 401 && (await refreshed())) response = await send(path, options);
  if (!response.ok) throw await problem(response);
  return response;
}

export async function ask(path, options) {
  const response = await open(path, options);
  return response.status === 204 ? null : response.json();
}

export async function signIn(username, password) {
  const body = new URLSearchParams({ username, password });
  const response = await send("/login", { method: "POST", body });
  if (!response.ok) throw await problem(response);
  keep(await response.json());
}

export async function signInByLink(link) {
  const response = await send("/login/link", { method: "POST", json: { token: link } });
  if (!response.ok) throw await problem(response);
  keep(await response.json());
}

export async function signInAutomatically() {
  const response = await send("/auto_login");
  return response.ok && keep(await response.json());
}

export async function signOut() {
  await send("/logout", { method: "POST" });
  token = "";
}

async function* text(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { value, done } = await reader.read().catch(away);
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

async function* pieces(response, separator) {
  let rest = "";
  for await (const chunk of text(response)) {
    const parts = (rest + chunk).split(separator);
    rest = parts.pop();
    yield* parts;
  }
  if (rest.trim()) yield rest;
}

// LangBuilder's stream: one JSON object a line, blank lines between.
export async function* buildEvents(job, signal) {
  const response = await open(`/build/${job}/events?event_delivery=streaming`, { signal });
  for await (const line of pieces(response, "\n")) {
    if (line.trim()) yield JSON.parse(line);
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const TRIES = 20; // a minute and a half: a server that was killed is up again by then

// The run's own stream (SSE): resumed after the last id until `isLast` says it is over.
export async function* runEvents(run, isLast, signal) {
  let last = "";
  for (let failures = 0; failures < TRIES; failures += 1) {
    try {
      const headers = { Accept: "text/event-stream", ...(last && { "Last-Event-ID": last }) };
      const response = await open(`/runs/${run}/events`, { headers, signal });
      if (response.status === 204) return;
      for await (const block of pieces(response, /\r?\n\r?\n/)) {
        const event = parsed(block);
        if (!event) continue;
        failures = 0;
        last = event.id || last;
        yield event;
        if (isLast(event)) return;
      }
    } catch (error) {
      if (signal?.aborted || (error instanceof Problem && error.status < 500)) throw error;
    }
    await pause(Math.min(500 * 2 ** failures, 5000));
  }
  throw new Away();
}

function parsed(block) {
  const event = { id: "", event: "message", data: [] };
  for (const line of block.split(/\r?\n/)) {
    const [, field, value] = /^(\w+): ?(.*)$/s.exec(line) ?? [];
    if (field === "data") event.data.push(value);
    else if (field === "id" || field === "event") event[field] = value;
  }
  return event.data.length ? { ...event, data: JSON.parse(event.data.join("\n")) } : null;
}
