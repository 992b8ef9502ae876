// The photos of this page: each is sent, followed and fetched, two at a time.

import * as api from "./api.js";

const AT_ONCE = 2;

export class Item {
  constructor(file, options) {
    this.file = file;
    this.options = options;
    this.reset();
  }

  reset() {
    this.state = "waiting"; // sending, running, done, failed
    this.progress = 0;
    this.queued = false; // at the server
    this.job = null;
    this.row = null;
    this.error = null;
    this.blob = null;
    this.motion = null;
    this.abort = new AbortController();
  }

  get isVideo() { return this.row?.kind === "video"; }

  get resultName() { return this.row?.output ?? this.file.name; }
}

export class Queue {
  #running = 0;

  constructor(changed) {
    this.items = [];
    this.changed = changed;
  }

  add(files, options) {
    const items = files.map(file => new Item(file, options));
    this.items.push(...items);
    this.#next();
    return items;
  }

  again(item, options) {
    this.#drop(item);
    item.options = options;
    item.reset();
    this.changed(item);
    this.#next();
  }

  remove(item) {
    this.#drop(item);
    this.items = this.items.filter(other => other !== item);
  }

  #drop(item) {
    item.abort.abort(new DOMException("removed", "AbortError"));
    if (item.job) api.forget(item.job);
  }

  #next() {
    for (const item of this.items) {
      if (this.#running >= AT_ONCE) break;
      if (item.state === "waiting") this.#run(item);
    }
  }

  async #run(item) {
    const { signal } = item.abort;
    const update = changes => {
      if (signal.aborted) return;
      Object.assign(item, changes);
      this.changed(item);
    };
    this.#running += 1;
    update({ state: "sending" });
    try {
      const job = await api.send(item.file, item.options, part => update({ progress: part }), signal);
      if (signal.aborted) api.forget(job);
      update({ job, state: "running", progress: 0 });
      const row = await api.follow(job, state => update({ progress: state.progress, queued: state.state === "waiting" }), signal);
      update({ row, blob: await api.result(job), state: "done" });
    } catch (error) {
      update({ state: "failed", error });
    } finally {
      this.#running -= 1;
      this.#next();
    }
  }
}
