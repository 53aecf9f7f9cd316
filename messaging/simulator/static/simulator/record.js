// A voice note: the microphone, the time running, and Ogg at the end.

import { $ } from "./dom.js";
import { toOgg } from "./ogg.js";

const OGG = "audio/ogg;codecs=opus";
const WEBM = "audio/webm;codecs=opus";
const LONGEST = 15 * 60_000; // milliseconds
const SHORTEST = 500;

/** `onDone` gets each finished recording as a File, `onFault` the reason why there is none. */
export class Recorder {
  constructor({ onDone, onFault }) {
    this.onDone = onDone;
    this.onFault = onFault;
    this.recorder = null;
    $("discard-recording").addEventListener("click", () => this.stop({ send: false }));
    $("send-recording").addEventListener("click", () => this.stop({ send: true }));
    $("recorder").addEventListener("keydown", (event) => event.key === "Escape" && this.stop({ send: false }));
  }

  async start() {
    if (this.recorder || this.asking) return;
    const type = [OGG, WEBM].find((one) => globalThis.MediaRecorder?.isTypeSupported(one));
    if (!navigator.mediaDevices || !type) {
      const why = isSecureContext ? "This browser cannot record Opus." : "Browsers record only over HTTPS or on this computer itself.";
      return this.onFault(`No voice note: ${why}`);
    }
    let stream;
    this.asking = true;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
    } catch (error) {
      const found = error.name !== "NotFoundError";
      return this.onFault(found ? "No voice note: the browser does not let this page use the microphone." : "No voice note: there is no microphone.");
    } finally {
      this.asking = false;
    }
    const pieces = [];
    const recorder = new MediaRecorder(stream, { mimeType: type, audioBitsPerSecond: 24_000 });
    recorder.addEventListener("dataavailable", ({ data }) => pieces.push(data));
    recorder.addEventListener("stop", () => this.finish(stream, pieces, type));
    recorder.start();
    this.recorder = recorder;
    this.started = performance.now();
    this.showTime();
    this.ticking = setInterval(() => this.showTime(), 200);
    $("line").hidden = true;
    $("recorder").hidden = false;
    $("send-recording").focus();
  }

  get elapsed() {
    return performance.now() - this.started;
  }

  showTime() {
    const seconds = Math.floor(this.elapsed / 1000);
    $("recorder-time").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    if (this.elapsed > LONGEST) this.stop({ send: true });
  }

  stop({ send }) {
    if (!this.recorder) return;
    this.wanted = send;
    this.lasted = this.elapsed;
    clearInterval(this.ticking);
    this.recorder.stop();
    this.recorder = null;
    $("recorder").hidden = true;
    $("line").hidden = false;
  }

  async finish(stream, pieces, type) {
    for (const track of stream.getTracks()) track.stop();
    if (!this.wanted) return this.onDone(null);
    if (this.lasted < SHORTEST) return this.onFault("Too short for a voice note: record, speak, then send.");
    try {
      const bytes = new Uint8Array(await new Blob(pieces).arrayBuffer());
      const ogg = type === OGG ? bytes : toOgg(bytes);
      this.onDone(new File([ogg], "voice-note.ogg", { type: "audio/ogg" }));
    } catch (error) {
      reportError(error);
      this.onFault("No voice note: the recording cannot be read.");
    }
  }
}
