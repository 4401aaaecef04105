// The pieces of the page. Data becomes text nodes only, never markup.

export const $ = (id) => document.getElementById(id);

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

let noticeTimer;

export function notice(text, { bad = false } = {}) {
  const box = $("notice");
  box.textContent = text;
  box.classList.toggle("bad", bad);
  box.hidden = false;
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => { box.hidden = true; }, bad ? 7000 : 3500);
}

function nearEnd(list) {
  return list.scrollHeight - list.scrollTop - list.clientHeight < 80;
}

// Follow what is said, unless the reader has scrolled up to read.
export function keepingInView(list, change) {
  const follow = nearEnd(list);
  const result = change();
  if (follow) list.scrollTop = list.scrollHeight;
  return result;
}

export function message(list, { id, sender, sender_name: name, text, error, category }) {
  const mine = sender === "User" && category !== "error";
  const failed = error || category === "error";
  return keepingInView(list, () => {
    let item = list.querySelector(`[data-id="${CSS.escape(id)}"]`);
    if (!item) {
      item = element("li", { class: "message", "data-id": id },
        element("p", { class: "name" }), element("div", { class: "text" }));
      list.append(item);
    }
    item.classList.toggle("mine", mine);
    item.classList.toggle("failed", Boolean(failed));
    item.querySelector(".name").textContent = failed ? "Error" : name || sender;
    item.querySelector(".text").textContent = text;
    return item;
  });
}

export function chunk(list, id, piece) {
  const item = list.querySelector(`[data-id="${CSS.escape(id)}"]`);
  if (!item) return;
  item.classList.add("speaking");
  keepingInView(list, () => item.querySelector(".text").append(piece));
}

const TONES = [
  [/failed|lost/, "bad"],
  [/cancel|inactivated/, "warm"],
  [/succeeded|vertex_built/, "good"],
  [/model_called|tool_call/, "cool"],
  [/message/, "accent"],
];

export const toneOf = (tag) => TONES.find(([pattern]) => pattern.test(tag))?.[1];

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hour12: false,
});

export function runEvent(list, { tag, at, about, payload }) {
  const when = new Date(at);
  const line = element("span", { class: "line" },
    element("span", { class: "tag" }, tag.replace(/^run\./, "").replaceAll("_", " ")),
    element("time", { datetime: at }, Number.isNaN(when.valueOf()) ? "" : clock.format(when)));
  const summary = element("summary", { title: tag }, line);
  if (about) summary.append(element("span", { class: "about" }, about));
  const item = element("li", { "data-tag": tag, "data-tone": toneOf(tag) },
    element("details", {}, summary, element("pre", {}, JSON.stringify(payload, null, 2))));
  keepingInView(list, () => list.append(item));
}
