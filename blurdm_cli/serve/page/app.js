// The page: takes files, shows one of them, reacts to buttons and keys.

import * as api from "./api.js";
import { showList, words } from "./list.js";
import { Queue } from "./queue.js";
import { Viewer } from "./viewer.js";
import { zip } from "./zip.js";

const byId = id => document.getElementById(id);
const viewer = new Viewer(() => showTools());
const queue = new Queue(changed);
let current = null, models = [];

function options() {
  const form = byId("options");
  const given = { format: form.format.value, motion: form.motion.checked ? "auto" : "off" };
  if (form.model.value) {
    given.model = form.model.value;
    given.expert = form.expert.disabled ? "" : form.expert.value;
  }
  return given;
}

// An expert needs a model that estimates the motion.
function allowExpert() {
  const form = byId("options"), model = models.find(each => each.name === form.model.value);
  form.expert.disabled = !form.motion.checked || model?.motion === false;
}

function add(files) {
  if (!files.length) return;
  const added = queue.add(files, options());
  say(`${added.length} ${added.length === 1 ? "file" : "files"} added`);
  select(current ?? added[0]);
}

function say(message) { byId("status").textContent = message; }

function notice(message) {
  byId("notice").textContent = message;
  byId("notice").hidden = !message;
  if (message) say(message);
}

function changed(item) {
  if (item === current) show();
  if (item.state === "done") say(`${item.file.name} is done: ${words(item)}`);
  if (item.state === "failed") say(`${item.file.name}: ${words(item)}`);
  refresh();
}

function refresh() {
  const none = !queue.items.length;
  document.body.classList.toggle("bare", none);
  byId("empty").hidden = !none;
  byId("view").hidden = none;
  byId("all").disabled = !queue.items.some(item => item.state === "done");
  showList(byId("list"), queue.items, current, select, remove);
  if (none) viewer.clear();
}

function release(...links) {
  for (const link of links) if (link) URL.revokeObjectURL(link);
}

function remove(item) {
  const at = queue.items.indexOf(item);
  queue.remove(item);
  release(item.link, item.before, item.after);
  const next = queue.items[Math.min(at, queue.items.length - 1)] ?? null;
  if (item !== current) refresh();
  else if (next) select(next);
  else { current = null; refresh(); }
}

function select(item) {
  current = item;
  viewer.draw(null);
  refresh();
  show();
}

// Links to both pictures; what this browser cannot decode, the server converts.
async function links(item) {
  const shown = async (blob, converted) => {
    const link = URL.createObjectURL(blob), image = new Image();
    image.src = link;
    try {
      await image.decode();
      return link;
    } catch {
      URL.revokeObjectURL(link);
      return converted ? URL.createObjectURL(await api.result(item.job, converted)) : null;
    }
  };
  const done = item.state === "done";
  item.before ??= await shown(item.file, done && { strength: 0, view: true });
  if (done) item.after ??= await shown(item.blob, { view: true });
}

async function show() {
  const item = current;
  showTools();
  if (item.isVideo) {
    viewer.clear();
    notice(`This video is done${item.options.expert ? ", without the expert" : ""}. Download it to watch it.`);
    return;
  }
  try {
    await links(item);
    if (item !== current) return;
    if (item.before) await viewer.show(item.before, item.state === "done" ? item.after : null);
    else viewer.clear();
    notice(item.state === "failed" ? words(item) : item.before ? "" : "This browser cannot show the file until it is done.");
  } catch (error) {
    if (item === current) notice(error.message);
  }
}

function showTools() {
  const done = current?.state === "done", photo = done && !current.isVideo;
  byId("fit").setAttribute("aria-pressed", viewer.fits);
  byId("actual").setAttribute("aria-pressed", viewer.isActual);
  for (const id of ["position", "strength", "motion"]) byId(id).disabled = !photo;
  byId("save").disabled = !done;
  byId("again").disabled = !current || !["done", "failed"].includes(current.state);
  byId("motion").setAttribute("aria-pressed", !byId("paths").hidden);
  byId("facts").textContent = done ? [current.file.name, words(current), ...current.row.notes].join(" · ") : "";
}

async function toggleMotion() {
  const item = current;
  if (!byId("paths").hidden) {
    await viewer.draw(null);
  } else {
    try {
      if (!item.motion) notice("Estimating the motion …");
      item.motion ??= await api.motion(item.file, item.abort.signal);
      if (item !== current) return;
      await viewer.draw(item.motion);
      const found = item.motion.linear ?? item.motion.encoded;
      notice("");
      if (item.motion.path && found?.direction === null) say(`Out of focus by ${found.length} pixels`);
      else if (item.motion.path && found) say(`Motion of ${found.length} pixels, ${found.direction} degrees`);
      else notice("No motion was found in this photo.");
    } catch (error) {
      notice(error.message);
    }
  }
  showTools();
}

function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// The result at this strength; the server mixes it, so that metadata and bit depth are kept.
const mixed = item => viewer.strength === 1 || item.isVideo ? item.blob : api.result(item.job, { strength: viewer.strength });

async function saving(work) {
  try {
    await work();
  } catch (error) {
    notice(error.message);
  }
}

const save = () => saving(async () => {
  const item = current;
  download(await mixed(item), item.resultName);
});

const saveAll = () => saving(async () => {
  const done = queue.items.filter(item => item.state === "done");
  if (done.length === 1) return download(await mixed(done[0]), done[0].resultName);
  const files = [];
  for (const item of done) files.push({ name: item.resultName, blob: await mixed(item) });
  download(await zip(files), "blurdm.zip");
});

function again() {
  release(current.after);
  current.after = null;
  queue.again(current, options());
}

function step(by) {
  const { items } = queue, at = items.indexOf(current);
  if (items.length) select(items[(at + by + items.length) % items.length]);
}

const KEYS = {
  ArrowLeft: () => { viewer.edge -= 2; }, ArrowRight: () => { viewer.edge += 2; },
  ArrowUp: () => step(-1), ArrowDown: () => step(1),
  "+": () => viewer.zoom(1.25), "=": () => viewer.zoom(1.25), "-": () => viewer.zoom(0.8),
  0: () => viewer.fit(), 1: () => viewer.actual(),
  b: () => viewer.onlyBefore(true),
  m: () => byId("motion").click(), d: () => byId("save").click(), o: () => byId("chooser").click(),
  Delete: () => current && remove(current),
};

document.addEventListener("keydown", event => {
  const own = event.target.closest("select") || event.target.matches("input") && event.key.startsWith("Arrow");
  if (own || event.ctrlKey || event.metaKey || event.altKey) return;
  const action = KEYS[event.key] ?? KEYS[event.key.toLowerCase()];
  if (!action) return;
  event.preventDefault();
  action();
});
document.addEventListener("keyup", event => { if (event.key.toLowerCase() === "b") viewer.onlyBefore(false); });

byId("fit").addEventListener("click", () => viewer.fit());
byId("actual").addEventListener("click", () => viewer.actual());
byId("in").addEventListener("click", () => viewer.zoom(1.5));
byId("out").addEventListener("click", () => viewer.zoom(1 / 1.5));
byId("motion").addEventListener("click", toggleMotion);
byId("again").addEventListener("click", again);
byId("save").addEventListener("click", save);
byId("all").addEventListener("click", saveAll);
for (const id of ["add", "choose"]) byId(id).addEventListener("click", () => byId("chooser").click());
byId("chooser").addEventListener("change", event => { add([...event.target.files]); event.target.value = ""; });
document.addEventListener("paste", event => add([...event.clipboardData.files]));
byId("options").addEventListener("submit", event => event.preventDefault());
byId("options").addEventListener("change", allowExpert);

document.addEventListener("dragover", event => { event.preventDefault(); document.body.classList.add("over"); });
document.addEventListener("dragleave", event => { if (!event.relatedTarget) document.body.classList.remove("over"); });
document.addEventListener("drop", async event => {
  event.preventDefault();
  document.body.classList.remove("over");
  const entries = [...event.dataTransfer.items].map(item => item.webkitGetAsEntry?.()).filter(Boolean);
  const plain = [...event.dataTransfer.files];
  const found = entries.some(entry => entry.isDirectory) ? (await Promise.all(entries.map(inside))).flat() : plain;
  add(found);
});

// The files in a dropped folder.
async function inside(entry) {
  if (entry.isFile) return entry.name.startsWith(".") ? [] : [await new Promise((good, bad) => entry.file(good, bad))];
  const reader = entry.createReader(), files = [];
  for (;;) {
    const some = await new Promise((good, bad) => reader.readEntries(good, bad));
    if (!some.length) return files;
    files.push(...(await Promise.all(some.map(inside))).flat());
  }
}

addEventListener("pagehide", event => {
  if (!event.persisted) for (const item of queue.items) if (item.job) api.forget(item.job);
});

refresh();
try {
  models = await api.models();
  for (const { name, default: own, expert } of models) {
    byId("model").add(new Option(name, name, own, own));
    byId("expert").add(new Option(name, name, expert, expert));
  }
  allowExpert();
} catch (error) {
  say(error.message);
}
