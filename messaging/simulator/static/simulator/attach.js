// Files waiting to be sent: chosen, dropped or pasted; each phone has its own.

import { $, h, icon } from "./dom.js";
import { ICONS, kindOf, sizeOf, takesCaption } from "./media.js";

const MOST_FILES = 30;
const THUMBNAIL = 96; // pixels

export class Tray {
  /** `onChange` is called when files come or go, `onFault` with what is wrong with some. */
  constructor({ onChange, onFault }) {
    this.onChange = onChange;
    this.onFault = onFault;
    this.files = [];
    this.kept = new Map();
    this.mostBytes = Number($("composer").dataset.mostBytes);
    $("attach").addEventListener("click", () => $("files").click());
    $("files").addEventListener("change", () => {
      this.add($("files").files);
      $("files").value = "";
    });
    $("body").addEventListener("paste", (event) => {
      if (!event.clipboardData.files.length || event.clipboardData.types.includes("text/plain")) return;
      event.preventDefault();
      this.add(event.clipboardData.files);
    });
    this.listenForDrops($("screen"));
  }

  /** Files dropped anywhere on the phone. The counter is there as entering a child comes before leaving its parent. */
  listenForDrops(target) {
    let inside = 0;
    const show = (change) => {
      inside = change === 0 ? 0 : inside + change;
      $("drop-hint").hidden = inside === 0;
    };
    const isFiles = (event) => event.dataTransfer.types.includes("Files");
    target.addEventListener("dragenter", (event) => isFiles(event) && show(1));
    target.addEventListener("dragleave", (event) => isFiles(event) && show(-1));
    target.addEventListener("dragover", (event) => isFiles(event) && event.preventDefault());
    target.addEventListener("drop", (event) => {
      if (!isFiles(event)) return;
      event.preventDefault();
      show(0);
      this.add(event.dataTransfer.files);
    });
  }

  add(files) {
    const faults = [];
    for (const file of files) {
      if (file.size > this.mostBytes) faults.push(`${file.name} has ${sizeOf(file.size)}; at most ${sizeOf(this.mostBytes)} can be sent.`);
      else if (this.files.length >= MOST_FILES) faults.push(`Only ${MOST_FILES} files at a time: ${file.name} was left out.`);
      else this.files.push(file);
    }
    this.onFault(faults.slice(0, 3).join(" "));
    this.show();
    $("body").focus();
  }

  remove(file) {
    this.files = this.files.filter((other) => other !== file);
    this.show();
    $("body").focus();
  }

  /** Keep the files of one phone and take out those of another. */
  change({ from, to }) {
    if (from) this.kept.set(from, this.files);
    this.files = this.kept.get(to) ?? [];
    this.show();
  }

  /** What to send: each file with its caption, and a text of its own if no file can carry it. */
  take(text) {
    const files = this.files;
    this.files = [];
    this.show();
    const carrier = files.find(takesCaption);
    const messages = files.map((file) => ({ file, body: file === carrier ? text : "" }));
    if (text.trim() && !carrier) messages.unshift({ body: text });
    return messages;
  }

  show() {
    $("tray").hidden = !this.files.length;
    $("tray").replaceChildren(...this.files.map((file) => this.render(file)));
    $("tray").scrollLeft = $("tray").scrollWidth;
    this.onChange();
  }

  render(file) {
    const picture = h("span", { class: "tray-picture" }, icon(ICONS[kindOf(file)]));
    if (kindOf(file) === "image" || kindOf(file) === "sticker") showThumbnail(picture, file);
    return h(
      "li",
      {},
      picture,
      h("span", { class: "tray-name", title: file.name }, file.name),
      h("span", { class: "tray-size" }, sizeOf(file.size)),
      h("button", { class: "icon-button", type: "button", "aria-label": `Do not send ${file.name}`, onclick: () => this.remove(file) }, icon("close")),
    );
  }
}

/** Drawn, as the page's policy lets no picture be loaded from a file. What is no picture keeps its icon. */
async function showThumbnail(place, file) {
  try {
    const bitmap = await createImageBitmap(file);
    const scale = THUMBNAIL / Math.min(bitmap.width, bitmap.height);
    const canvas = h("canvas", { width: THUMBNAIL, height: THUMBNAIL });
    const [width, height] = [bitmap.width * scale, bitmap.height * scale];
    canvas.getContext("2d").drawImage(bitmap, (THUMBNAIL - width) / 2, (THUMBNAIL - height) / 2, width, height);
    bitmap.close();
    place.replaceChildren(canvas);
  } catch {
    place.classList.add("unreadable");
  }
}
