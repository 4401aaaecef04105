// The plain page: sign in, pick or upload a flow, chat with it, and watch its events.

import * as server from "/page/server.js";
import { $, chunk, element, message, notice, runEvent, toneOf } from "/page/parts.js";

const ENDS = { "run.succeeded": "succeeded", "run.failed": "failed", "run.cancelled": "cancelled" };

const box = $("text");
let flow = null; // the flow that is open: {id, name}
let running = null; // the run that is watched: {job, abort}

// --- Signing in

async function start() {
  const link = /^#\/sign-in\/(.+)$/.exec(location.hash)?.[1];
  if (link) history.replaceState(null, "", location.pathname);
  try {
    if (link) await server.signInByLink(decodeURIComponent(link));
    await enter();
  } catch (error) {
    if (error instanceof server.Away) showSignIn(error.message);
    else showSignIn(link ? `${error.message.replace(/\.?$/, ".")} Sign in with your password instead.` : "");
  }
}

async function enter() {
  let user;
  try {
    user = await server.ask("/users/whoami");
  } catch (error) {
    if (!(await server.signInAutomatically())) throw error;
    user = await server.ask("/users/whoami");
  }
  $("who").textContent = user.username;
  $("sign-in").hidden = true;
  $("work").hidden = false;
  await listFlows();
}

function showSignIn(problem) {
  $("work").hidden = true;
  $("sign-in").hidden = false;
  const box = document.querySelector(".problem");
  box.textContent = problem;
  box.hidden = !problem;
  $("sign-in-form").elements.username.focus();
}

$("sign-in-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { username, password } = event.target.elements;
  const button = event.target.querySelector("button");
  button.disabled = true;
  try {
    await server.signIn(username.value, password.value);
    password.value = "";
    await enter();
  } catch (error) {
    showSignIn(error.message);
  } finally {
    button.disabled = false;
  }
});

$("sign-out").addEventListener("click", async () => {
  leaveRun();
  await server.signOut();
  location.reload();
});

// A session that ends while the page is open leads back to the sign-in form.
function report(error) {
  if (error.name === "AbortError") return;
  if (error.status === 401) showSignIn("Your session has ended. Please sign in again.");
  else notice(error.message, { bad: true });
}

const reporting = (act) => (...details) => Promise.resolve(act(...details)).catch(report);

// --- Flows

async function listFlows() {
  const flows = await server.ask("/flows/?get_all=true&header_flows=true&remove_example_flows=true");
  flows.sort((a, b) => a.name.localeCompare(b.name));
  const items = flows.filter((one) => !one.is_component).map((one) => element("li", {},
    element("button", { type: "button", "data-flow": one.id, title: one.description || one.name,
      onclick: reporting(() => openFlow(one)) }, one.name)));
  $("flow-list").replaceChildren(...(items.length ? items
    : [element("li", { class: "empty" }, "No flows yet.")]));
  await listExamples(new Set(flows.map((one) => one.name)));
  markOpenFlow();
  if (!flow) welcome(items.length);
}

// Everybody begins with the examples as flows; those deleted since are offered again.
async function listExamples(names) {
  const all = await server.ask("/flows/basic_examples/");
  const examples = all.filter((one) => !names.has(one.name));
  $("examples").hidden = !examples.length;
  $("example-list").replaceChildren(...examples.map((one) => element("li", {},
    element("button", { type: "button", title: one.description || one.name,
      onclick: reporting(() => begin(one)) }, one.name, element("small", {}, one.description || "")))));
}

async function begin({ name, description, data, icon, tags }) {
  const made = await server.ask("/flows/", { method: "POST", json: { name, description, data, icon, tags } });
  await listFlows();
  await openFlow(made);
}

function welcome(any) {
  $("messages").replaceChildren(element("li", { class: "welcome" },
    element("strong", {}, any ? "Choose a flow to chat with" : "Your first flow"),
    element("span", {}, any ? "Or upload one: a JSON file, as LangBuilder exports it."
      : "Start from an example, or upload a flow: a JSON file, as LangBuilder exports it.")));
}

function markOpenFlow() {
  for (const button of document.querySelectorAll("[data-flow]")) {
    button.setAttribute("aria-current", String(button.dataset.flow === flow?.id));
  }
}

$("upload").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", reporting(async (event) => {
  const [file] = event.target.files;
  event.target.value = "";
  if (file) await upload(file);
}));

async function upload(file) {
  const body = new FormData();
  body.append("file", file);
  const made = await server.ask("/flows/upload/", { method: "POST", body });
  await listFlows();
  notice(made.length === 1 ? `Uploaded “${made[0].name}”.` : `Uploaded ${made.length} flows.`);
  if (made.length) await openFlow(made[0]);
}

addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
});
addEventListener("drop", reporting(async (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  const [file] = event.dataTransfer.files;
  if (file && !$("work").hidden) await upload(file);
}));

async function openFlow(one) {
  leaveRun();
  flow = one;
  markOpenFlow();
  box.disabled = true;
  const sessions = await server.ask(`/monitor/messages/sessions?flow_id=${one.id}`);
  if (flow !== one) return; // another was chosen meanwhile
  $("flow-name").textContent = one.name;
  for (const id of ["say", "session-label", "new-chat"]) $(id).hidden = false;
  const select = $("session");
  select.replaceChildren(...sessions.map(sessionOption));
  if (sessions.length) {
    select.value = sessions.at(-1);
    await showSession();
  } else newChat();
}

// --- Chat sessions

const sessionOption = (name) => element("option", { value: name }, name === flow.id ? "First chat" : name);

function newChat() {
  leaveRun();
  const select = $("session");
  const taken = new Set([...select.options].map((one) => one.value));
  const now = new Date();
  const day = now.toLocaleDateString(undefined, { month: "short", day: "numeric" });
  const begun = `${day} ${now.toTimeString().slice(0, 5)}`;
  let name = begun;
  for (let n = 2; taken.has(name); n += 1) name = `${begun} (${n})`;
  select.append(sessionOption(name));
  select.value = name;
  clearEvents();
  $("messages").replaceChildren(element("li", { class: "welcome" },
    element("strong", {}, flow.name), element("span", {}, flow.description || "Say something to begin.")));
  invite();
}

function invite() {
  box.disabled = false;
  box.focus();
}

async function showSession() {
  leaveRun();
  clearEvents();
  box.disabled = true;
  const query = new URLSearchParams({ flow_id: flow.id, session_id: $("session").value });
  const said = await server.ask(`/monitor/messages?${query}`);
  if (query.get("flow_id") !== flow.id || query.get("session_id") !== $("session").value) return;
  $("messages").replaceChildren();
  for (const one of said) message($("messages"), one);
  $("messages").scrollTop = $("messages").scrollHeight;
  invite();
  await showLastRun(query.get("session_id"));
}

// Events are there to be read again; a run that still goes on is followed to its end.
async function showLastRun(session) {
  const { items } = await server.ask(`/runs/?flow_id=${flow.id}&size=50`);
  const last = items.find((run) => run.session === session);
  if (!last || running || session !== $("session").value) return;
  if (last.ended_at) {
    const abort = new AbortController();
    running = { job: null, abort, over: true };
    await watch(last.id, abort.signal).finally(() => {
      if (running?.abort === abort) running = null;
    });
  } else await following(async () => last.id);
}

$("new-chat").addEventListener("click", newChat);
$("session").addEventListener("change", reporting(showSession));

// --- Saying something

function fit() {
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight + 2}px`;
}

box.addEventListener("input", fit);
box.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("say").requestSubmit();
});

$("say").addEventListener("submit", reporting(async (event) => {
  event.preventDefault();
  const said = box.value.trim();
  if (!said || (running && !running.over)) return;
  leaveRun();
  document.querySelector(".welcome")?.remove();
  await following(async (abort) => {
    const inputs = { input_value: said, session: $("session").value };
    const { job_id: job } = await server.ask(`/build/${flow.id}/flow?event_delivery=streaming`,
      { method: "POST", json: { inputs }, signal: abort.signal });
    box.value = "";
    fit();
    return job;
  });
}));

// Follow the run that `begin` names to its end, in the chat and in the events.
async function following(begin) {
  const abort = new AbortController();
  running = { job: null, abort };
  showRunning(true);
  try {
    const job = await begin(abort);
    running.job = job;
    const watched = watch(job, abort.signal).catch(report);
    const cut = await converse(job, abort.signal).then(() => false, wasCut);
    await watched;
    // What was said while nobody could listen is read anew.
    if (cut && running?.abort === abort) await showSession();
  } finally {
    if (running?.abort === abort) {
      running = null;
      showRunning(false);
    }
  }
}

function wasCut(error) {
  if (!(error instanceof server.Away)) throw error;
  notice(`${error.message} Trying again…`, { bad: true });
  return true;
}

$("stop").addEventListener("click", reporting(async () => {
  if (running?.job) await server.ask(`/build/${running.job}/cancel`, { method: "POST" });
}));

function leaveRun() {
  running?.abort.abort();
  running = null;
  showRunning(false);
}

function showRunning(now) {
  $("send").hidden = now;
  $("stop").hidden = !now;
  box.setAttribute("aria-busy", String(now));
}

async function converse(job, signal) {
  const list = $("messages");
  for await (const { event, data } of server.buildEvents(job, signal)) {
    if (event === "add_message" || event === "error") message(list, { ...data, id: data.id ?? job });
    else if (event === "token") chunk(list, data.id, data.chunk);
    else if (event === "remove_message") list.querySelector(`[data-id="${CSS.escape(data.id)}"]`)?.remove();
  }
  for (const item of list.querySelectorAll(".speaking")) item.classList.remove("speaking");
}

// --- The run's events

function clearEvents() {
  $("event-list").replaceChildren();
  $("events-hint").hidden = false;
  $("run-state").hidden = true;
}

function showState(text, tag) {
  const state = $("run-state");
  state.textContent = text;
  state.dataset.tone = toneOf(tag) ?? "accent";
  state.hidden = false;
}

async function watch(job, signal) {
  clearEvents();
  $("events-hint").hidden = true;
  showState("running", "");
  const isLast = ({ event }) => event in ENDS;
  for await (const { event, data } of server.runEvents(job, isLast, signal)) {
    if (event === "token") continue; // the chat shows those
    const payload = { ...data.data, ...(data.content && { content: data.content }) };
    const about = (event === "run.failed" && payload.content?.message) || payload.vertex;
    runEvent($("event-list"), { tag: event, at: data.at, about, payload });
    if (isLast({ event })) showState(ENDS[event], event);
  }
}

start();
