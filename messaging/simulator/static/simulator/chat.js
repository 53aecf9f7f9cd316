// The messages of the phone in hand: what is loaded, in order, and where the person is in it.

import { renderMessage, showState } from "./bubble.js";
import { dayOf, nameOfDay } from "./clock.js";
import { $, h } from "./dom.js";

const AT_THE_END = 90; // pixels that still count as the end

export class Chat {
  /** `on` is called with the SID of a message: reply, inspect, retry (see bubble.js). */
  constructor({ zone, on }) {
    this.zone = zone;
    this.on = { ...on, choose: (sid) => this.choose(sid), jumpTo: (sid) => this.focus(sid) };
    this.messages = [];
    this.items = new Map();
    this.log = $("log");
    this.list = $("messages");
    this.current = null;
    this.hasOlder = false;
    this.list.replaceChildren();
  }

  get oldestId() {
    return this.messages.find((message) => message.id)?.id;
  }

  get(sid) {
    return this.messages.find((message) => message.sid === sid);
  }

  /** Start over from the newest messages. */
  reset(messages, { hasOlder }) {
    this.log.setAttribute("aria-busy", "true"); // history is not news: nothing is read out
    const unsent = this.messages.filter((message) => !message.id);
    this.messages = [];
    this.items.clear();
    this.list.replaceChildren();
    this.hasOlder = hasOlder;
    for (const message of [...messages, ...unsent.filter((one) => !messages.some((m) => m.sid === one.sid))]) this.put(message);
    this.refresh();
    this.scrollToEnd();
    requestAnimationFrame(() => this.log.removeAttribute("aria-busy"));
  }

  /** Put older messages in front, leaving what the person reads where it is. */
  prepend(messages, { hasOlder }) {
    const { scrollHeight, scrollTop } = this.log;
    this.log.setAttribute("aria-busy", "true");
    this.hasOlder = hasOlder;
    for (const message of messages) this.put(message);
    this.refresh();
    this.log.scrollTop = scrollTop + this.log.scrollHeight - scrollHeight;
    requestAnimationFrame(() => this.log.removeAttribute("aria-busy"));
  }

  /** Take in new and changed messages. */
  update(messages) {
    const wasAtEnd = this.isAtEnd();
    let hasNews = false;
    for (const message of messages) {
      // An old message that changed, above what is loaded: it comes with its page.
      if (this.hasOlder && message.id && message.id < this.oldestId && !this.items.has(message.sid)) continue;
      hasNews ||= !this.items.has(message.sid);
      this.put(message);
    }
    this.refresh();
    if (wasAtEnd) this.scrollToEnd();
    else if (hasNews) $("jump").hidden = false;
  }

  put(message) {
    let item = this.items.get(message.sid);
    if (item) {
      showState(item, { message, zone: this.zone });
      this.messages.splice(this.messages.findIndex((other) => other.sid === message.sid), 1);
    } else {
      item = renderMessage({ message, zone: this.zone, on: this.on });
      this.items.set(message.sid, item);
    }
    const position = this.messages.findLastIndex((other) => order(other) <= order(message)) + 1;
    this.messages.splice(position, 0, message);
    const before = position ? this.items.get(this.messages[position - 1].sid) : null;
    if (item.isConnected && item.previousElementSibling === before) return;
    if (before) before.after(item);
    else this.list.prepend(item);
  }

  /** Day lines, the button for more, the welcome: whatever follows from which messages are loaded. */
  refresh() {
    let previous = null;
    for (const message of this.messages) {
      const day = dayOf(this.zone, message.created);
      const item = this.items.get(message.sid);
      const line = item.querySelector(".day");
      if (day === previous) line?.remove();
      else if (!line) item.prepend(h("div", { class: "day" }, h("span", {}, nameOfDay(this.zone, message.created))));
      previous = day;
    }
    $("older").hidden = !this.hasOlder;
    $("welcome").hidden = this.messages.length > 0;
    if (!this.items.has(this.current) && this.messages.length) this.makeReachable(this.messages.at(-1).sid);
  }

  // One message at a time is in the tab order; the arrow keys move between them.

  makeReachable(sid) {
    for (const item of this.list.querySelectorAll("[tabindex='0']")) item.tabIndex = -1;
    const item = this.items.get(sid);
    if (!item) return;
    item.tabIndex = 0;
    for (const control of item.querySelectorAll("button, a, audio, video")) control.tabIndex = 0;
  }

  choose(sid) {
    this.current = sid;
    this.list.querySelector(".chosen")?.classList.remove("chosen");
    this.items.get(sid)?.classList.add("chosen");
    this.makeReachable(sid);
  }

  focus(sid) {
    const item = this.items.get(sid);
    if (!item) return;
    this.choose(sid);
    item.focus({ preventScroll: true });
    item.scrollIntoView({ block: "nearest" });
  }

  /** Move the focus by arrow key; true if the key was one. */
  onKey(event) {
    const item = event.target.closest(".message");
    if (!item || event.target !== item) return false;
    const position = this.messages.findIndex((message) => message.sid === item.dataset.sid);
    const last = this.messages.length - 1;
    const target = { ArrowUp: position - 1, ArrowDown: position + 1, Home: 0, End: last }[event.key];
    if (target === undefined) return false;
    this.focus(this.messages[Math.min(Math.max(target, 0), last)].sid);
    return true;
  }

  isAtEnd() {
    return this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < AT_THE_END;
  }

  scrollToEnd() {
    this.log.scrollTop = this.log.scrollHeight;
    $("jump").hidden = true;
  }
}

// What has no number yet was written last.
const order = (message) => message.id ?? Infinity;
