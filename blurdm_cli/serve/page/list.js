// The list of photos: a row each, with its state.

const ROWS = new WeakMap();

function part(kind, name, text = "") {
  const made = document.createElement(kind);
  made.className = name;
  made.textContent = text;
  return made;
}

function made(item, pick, remove) {
  const row = part("li", ""), button = part("button", "pick");
  const picture = part("img", "thumb"), close = part("button", "remove", "✕");
  picture.alt = "";
  picture.src = item.link = URL.createObjectURL(item.file);
  picture.onerror = () => picture.replaceWith(part("span", "thumb")); // a video, or no photo
  close.setAttribute("aria-label", `Remove ${item.file.name}`);
  button.append(picture, part("span", "name", item.file.name), part("span", "state"));
  button.addEventListener("click", () => pick(item));
  close.addEventListener("click", () => remove(item));
  row.append(button, close);
  ROWS.set(item, row);
  return row;
}

export function words(item) {
  if (item.state === "failed") return [item.error.message, item.error.hint].filter(Boolean).join(". ");
  if (item.state !== "done") return { waiting: "waiting", sending: "sending", running: item.queued ? "waiting at the server" : "working" }[item.state];
  const { row } = item;
  const parts = [`${row.seconds.toFixed(1)} s`];
  if (row.size) parts.unshift(`${row.size[1]} × ${row.size[0]}`);
  if (row.motion) parts.push(`motion ${Math.round(row.motion.length)} px`);
  if (row.expert) parts.push(`with ${row.expert}`);
  if (row.hardly_changed) parts.push("hardly changed");
  return parts.join(" · ");
}

function update(item) {
  const row = ROWS.get(item), state = row.querySelector(".state");
  row.className = item.state === "failed" ? "bad" : "";
  const busy = item.state === "sending" || item.state === "running";
  let bar = state.querySelector("progress");
  if (!busy) {
    state.textContent = words(item);
    return;
  }
  if (!bar) {
    bar = document.createElement("progress");
    state.replaceChildren(part("span", ""), bar);
  }
  bar.setAttribute("aria-label", `${item.file.name}: ${words(item)}`);
  state.firstChild.textContent = words(item);
  if (item.progress) bar.value = item.progress;
  else bar.removeAttribute("value");
}

export function showList(list, items, current, pick, remove) {
  const wanted = items.map(item => ROWS.get(item) ?? made(item, pick, remove));
  for (const row of [...list.children]) if (!wanted.includes(row)) row.remove();
  wanted.forEach((row, index) => { if (list.children[index] !== row) list.insertBefore(row, list.children[index] ?? null); });
  for (const item of items) {
    update(item);
    const row = ROWS.get(item), chosen = item === current;
    row.classList.toggle("current", chosen);
    row.querySelector(".pick").setAttribute("aria-current", chosen);
  }
}
