// Before and after, one over the other, with an edge between them; zoom, pan, strength, motion.

const LARGEST = 16; // device pixels per pixel of the photo
const STEP = 1.25;
const PATH = [255, 210, 40];

const byId = id => document.getElementById(id);
const clamp = (value, least, most) => Math.min(Math.max(value, least), most);

export class Viewer {
  #stage = byId("stage");
  #images = [byId("before"), byId("after")];
  #paths = byId("paths");
  #size = [0, 0];
  #scale = 1;
  #offset = [0, 0];
  #fits = true;
  #pointers = new Map();
  #drag = null;

  constructor(changed) {
    this.changed = changed; // called when the zoom changes
    const stage = this.#stage;
    new ResizeObserver(() => this.#fits ? this.fit() : this.#draw()).observe(stage);
    stage.addEventListener("wheel", event => {
      event.preventDefault();
      this.zoom(STEP ** (-event.deltaY / 100), this.#at(event));
    }, { passive: false });
    stage.addEventListener("pointerdown", event => this.#down(event));
    stage.addEventListener("pointermove", event => this.#move(event));
    for (const kind of ["pointerup", "pointercancel"]) stage.addEventListener(kind, event => this.#up(event));
    stage.addEventListener("dblclick", event => this.#fits ? this.actual(this.#at(event)) : this.fit());
    byId("position").addEventListener("input", () => this.#draw());
    byId("strength").addEventListener("input", () => this.#draw());
  }

  get edge() { return Number(byId("position").value); }
  set edge(percent) { byId("position").value = clamp(percent, 0, 100); this.#draw(); }
  get strength() { return Number(byId("strength").value) / 100; }
  set strength(part) { byId("strength").value = 100 * part; this.#draw(); }
  get fits() { return this.#fits; }
  get isActual() { return Math.abs(this.#scale * devicePixelRatio - 1) < 1e-6; }

  // Show two pictures of one size; the second may be missing.
  async show(before, after) {
    this.#stage.classList.toggle("plain", !after);
    byId("right").hidden = !after;
    const wanted = [before, after];
    await Promise.all(this.#images.map(async (image, index) => {
      if (!wanted[index]) return;
      image.src = wanted[index];
      await image.decode();
    }));
    const [image] = this.#images, size = [image.naturalWidth, image.naturalHeight];
    if (String(size) !== String(this.#size)) {
      this.#size = size;
      this.fit();
    }
    this.#draw();
  }

  clear() {
    for (const image of this.#images) image.removeAttribute("src");
    this.#size = [0, 0];
    this.#stage.classList.add("plain");
    this.draw(null);
  }

  // Hide the result while a key is held.
  onlyBefore(on) { this.#stage.classList.toggle("only-before", on); }

  fit() {
    const { clientWidth: width, clientHeight: height } = this.#stage;
    const scale = Math.min(width / this.#size[0], height / this.#size[1]);
    this.#scale = Number.isFinite(scale) ? Math.min(scale, 4 / devicePixelRatio) : 1;
    this.#offset = [(width - this.#size[0] * this.#scale) / 2, (height - this.#size[1] * this.#scale) / 2];
    this.#fits = true;
    this.#draw();
  }

  actual(point = this.#middle()) { this.zoom(1 / devicePixelRatio / this.#scale, point); }

  zoom(factor, point = this.#middle()) {
    const least = Math.min(this.#fitting(), 1 / devicePixelRatio);
    const scale = clamp(this.#scale * factor, least, Math.max(LARGEST / devicePixelRatio, least));
    this.#offset = this.#offset.map((offset, axis) => point[axis] - (point[axis] - offset) * scale / this.#scale);
    this.#scale = scale;
    this.#fits = false;
    this.#draw();
  }

  // Draw a motion over the photo, at its true size; null removes it.
  async draw(motion) {
    this.#paths.hidden = !motion?.path;
    this.#paths.replaceChildren();
    if (!motion?.path) return;
    const link = await tinted(motion.path);
    const [height, width] = motion.size;
    const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    for (const [name, value] of Object.entries({ width, height, viewBox: `0 0 ${width} ${height}` })) picture.setAttribute(name, value);
    for (const part of motion.regions) {
      const path = document.createElementNS(picture.namespaceURI, "image");
      const place = {
        href: link.url, width: link.side[0], height: link.side[1],
        x: part.left + part.width / 2 - link.side[0] / 2, y: part.top + part.height / 2 - link.side[1] / 2,
        opacity: 0.25 + 0.75 * part.confidence,
      };
      for (const [name, value] of Object.entries(place)) path.setAttribute(name, value);
      picture.append(path);
    }
    this.#paths.append(picture);
    this.#draw();
  }

  #fitting() {
    return Math.min(this.#stage.clientWidth / this.#size[0], this.#stage.clientHeight / this.#size[1]);
  }

  #middle() { return [this.#stage.clientWidth / 2, this.#stage.clientHeight / 2]; }

  #at(event) {
    const box = this.#stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  #down(event) {
    if (event.button) return;
    const point = this.#at(event), onEdge = event.target.closest("#edge");
    this.#stage.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, point);
    if (onEdge || this.#fits) this.#drag = "edge";
    else this.#drag = "pan";
    this.#stage.classList.toggle("panning", this.#drag === "pan");
    if (this.#drag === "edge") this.#moveEdge(point);
  }

  #move(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const now = this.#at(event);
    if (this.#pointers.size === 2) {
      const [other] = [...this.#pointers].filter(([id]) => id !== event.pointerId).map(([, point]) => point);
      const apart = point => Math.hypot(point[0] - other[0], point[1] - other[1]);
      this.zoom(apart(now) / Math.max(apart(before), 1), [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2]);
    } else if (this.#drag === "edge") {
      this.#moveEdge(now);
    } else {
      this.#offset = this.#offset.map((offset, axis) => offset + now[axis] - before[axis]);
      this.#draw();
    }
    this.#pointers.set(event.pointerId, now);
  }

  #up(event) {
    this.#pointers.delete(event.pointerId);
    this.#stage.classList.remove("panning");
  }

  #moveEdge(point) { this.edge = 100 * point[0] / this.#stage.clientWidth; }

  #draw() {
    const stage = [this.#stage.clientWidth, this.#stage.clientHeight];
    this.#offset = this.#offset.map((offset, axis) => {
      const room = stage[axis] - this.#size[axis] * this.#scale;
      return room >= 0 ? room / 2 : clamp(offset, room, 0);
    });
    const move = `translate(${this.#offset[0]}px, ${this.#offset[1]}px) scale(${this.#scale})`;
    for (const shown of [...this.#images, ...this.#paths.children]) shown.style.transform = move;
    this.#images[1].style.opacity = this.strength;
    this.#stage.style.setProperty("--x", `${this.edge}%`);
    this.#stage.classList.toggle("pixels", this.#scale * devicePixelRatio >= 1.5);
    byId("percent").value = `${Math.round(100 * this.strength)} %`;
    byId("position").setAttribute("aria-valuetext", `${Math.round(this.edge)} % before`);
    this.changed();
  }
}

// A picture of opacities as one of a colour, with a dark rim.
async function tinted(base64) {
  const mask = new Image();
  mask.src = `data:image/png;base64,${base64}`;
  await mask.decode();
  const canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
  [canvas.width, canvas.height] = [mask.naturalWidth, mask.naturalHeight];
  pen.drawImage(mask, 0, 0);
  const pixels = pen.getImageData(0, 0, canvas.width, canvas.height);
  for (let at = 0; at < pixels.data.length; at += 4) pixels.data.set([...PATH, pixels.data[at]], at);
  pen.putImageData(pixels, 0, 0);
  const line = await createImageBitmap(canvas);
  pen.clearRect(0, 0, canvas.width, canvas.height);
  [pen.shadowColor, pen.shadowBlur] = ["#000", 3];
  pen.drawImage(line, 0, 0);
  pen.drawImage(line, 0, 0);
  return { url: canvas.toDataURL(), side: [canvas.width, canvas.height] };
}
