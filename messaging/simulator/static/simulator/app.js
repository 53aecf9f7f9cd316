// The page: which phone is in hand, what it sends, and a steady look at what has changed.

import { Tray } from "./attach.js";
import { previewOf } from "./bubble.js";
import { Chat } from "./chat.js";
import { timeOfDay } from "./clock.js";
import { describe } from "./details.js";
import { $ } from "./dom.js";
import { kindOf, listenInViewer } from "./media.js";
import { phones, showClocks, showInHand, showPhones } from "./phones.js";
import { Recorder } from "./record.js";
import { Refused, SessionEnded, Unreachable, getMessages, makeSid, markSeen, sendMessage } from "./server.js";
import { takeSwitches } from "./switches.js";

const POLL = 700; // milliseconds between looks, while somebody can see the page
const POLL_HIDDEN = 5000;
const POLL_BROKEN = 2500;
const isNarrow = matchMedia("(max-width: 719px)");
const hasSheet = matchMedia("(max-width: 1099px)");
const drafts = new Map();
const unsent = new Map(); // the fields of messages the server has not confirmed, by SID

let phone = null;
let chat = null;
let change = null; // the server's number of the last change we have; null asks for everything anew
let quoted = null;
let inspected = null;
let timer = null;
let looking = false;
let sending = Promise.resolve();

// Looking at the server

async function look() {
  clearTimeout(timer);
  if (looking) return;
  looking = true;
  const [asked, askedChat] = [phone, chat];
  let pause = document.hidden ? POLL_HIDDEN : POLL;
  try {
    const answer = await getMessages({ phone: (asked ?? phones.values().next().value).key, ...(change !== null && { after: change }) });
    showBanner("");
    // Another phone may have been picked up in the meantime: these messages are not its.
    if (askedChat === chat) {
      if (chat) takeIn(answer);
      showPhones(answer.phones, { open: isReading() ? phone.key : null });
      showTyping(answer.phones.find(({ key }) => key === phone?.key)?.typing);
      if (isReading() && answer.phones.find(({ key }) => key === phone.key).unread) await markSeen(phone.key);
    } else {
      pause = 0;
    }
  } catch (error) {
    pause = POLL_BROKEN;
    fail(error);
  } finally {
    looking = false;
    showClock();
    timer = setTimeout(look, pause);
  }
}

function takeIn(answer) {
  if (answer.reset) chat.reset(answer.messages, { hasOlder: answer.has_older });
  else chat.update(answer.messages);
  $("log").dataset.phone = phone.key; // whose messages these are, for whoever drives the page
  change = answer.change;
  for (const { sid } of answer.messages) unsent.delete(sid);
  if (answer.messages.some(({ sid }) => sid === inspected)) showDetails(inspected);
}

async function loadOlder() {
  const asked = chat;
  $("older").disabled = true;
  try {
    const answer = await getMessages({ phone: phone.key, before: chat.oldestId });
    if (asked === chat) chat.prepend(answer.messages, { hasOlder: answer.has_older });
  } catch (error) {
    fail(error);
  } finally {
    $("older").disabled = false;
  }
}

const isReading = () => phone !== null && !document.hidden && (!isNarrow.matches || document.body.dataset.screen === "chat");

function fail(error) {
  if (error instanceof SessionEnded) showBanner("Your session has ended.", { signIn: true });
  else if (error instanceof Refused) showBanner(error.message);
  else if (error instanceof Unreachable) showBanner("The server does not answer. Trying again…");
  else reportError(error); // a mistake of ours
}

function showBanner(text, { signIn = false } = {}) {
  if ($("banner-text").textContent !== text) $("banner-text").textContent = text;
  $("banner-sign-in").hidden = !signIn;
  $("banner").hidden = !text;
}

function showClock() {
  showClocks();
  if (phone) $("statusbar-clock").textContent = timeOfDay(phone.zone);
}

function showTyping(isTyping) {
  const wasAtEnd = chat?.isAtEnd();
  $("typing").hidden = !isTyping;
  const subtitle = $("chat-subtitle");
  subtitle.classList.toggle("typing-now", Boolean(isTyping));
  subtitle.textContent = isTyping ? "typing…" : subtitle.dataset.number;
  if (isTyping && wasAtEnd) chat.scrollToEnd();
}

// Picking up a phone

function pickUp() {
  const chosen = phones.get(location.hash.slice(1));
  if (!chosen) {
    document.body.dataset.screen = "list";
    if (isNarrow.matches) phone?.link.focus();
    else if (!phone) location.replace(`#${phones.keys().next().value}`);
    return;
  }
  document.body.dataset.screen = "chat";
  if (chosen !== phone) {
    if (phone) drafts.set(phone.key, $("body").value);
    recorder.stop({ send: false });
    tray.change({ from: phone?.key, to: chosen.key });
    showFault("");
    phone = chosen;
    change = null;
    inspected = null;
    chat = new Chat({ zone: phone.zone, on: { reply: quote, inspect, retry } });
    for (const { fields, message } of unsent.values()) if (fields.phone === phone.key) chat.put(message);
    $("welcome").hidden = $("older").hidden = true;
    delete $("log").dataset.phone;
    $("body").value = drafts.get(phone.key) ?? "";
    showInHand(phone);
    showTyping(false);
    showDetails(null);
    quote(null);
    fitComposer();
    showClock();
  }
  if (!isNarrow.matches) $("body").focus({ preventScroll: true });
  look();
}

// Sending

function send(content) {
  const { file } = content;
  const sid = makeSid({ hasFile: Boolean(file) });
  const fields = {
    phone: phone.key,
    sid,
    replied_to: quoted?.sid ?? "",
    ...takeSwitches(),
    ...content,
  };
  const place = "latitude" in content && { ...content, latitude: Number(content.latitude), longitude: Number(content.longitude) };
  const message = {
    sid,
    mine: true,
    body: content.body ?? "",
    place: place || null,
    media: file ? { kind: kindOf(file), type: file.type, name: content.recorded ? "" : file.name, size: file.size } : null,
    quote: quoted && { sid: quoted.sid, mine: quoted.mine, text: previewOf(quoted) },
    status: "sending",
    deliver_twice: fields.deliver_twice,
    lose_reply: fields.lose_reply,
    created: Date.now(),
  };
  quote(null);
  chat.update([message]);
  chat.scrollToEnd();
  post(fields, message);
}

/** Post after everything posted before, so that messages arrive in the order they were written. */
function post(fields, message) {
  unsent.set(fields.sid, { fields, message });
  sending = sending.then(async () => {
    try {
      const answer = await sendMessage(fields);
      unsent.delete(fields.sid);
      showSent(fields, answer.message);
    } catch (error) {
      const reason = error instanceof Refused ? error.message : "The server did not answer.";
      const failed = { ...message, status: "unsent", error: reason };
      unsent.set(fields.sid, { fields, message: failed });
      showSent(fields, failed);
      if (!(error instanceof Refused)) fail(error);
    }
    look();
  });
}

function showSent(fields, message) {
  if (fields.phone === phone.key) chat.update([message]);
}

/** Send again what did not reach the server, or what the webhook refused. */
function retry(sid) {
  const message = { ...chat.get(sid), status: "sending", error: "" };
  const fields = unsent.get(sid)?.fields ?? { phone: phone.key, sid, body: message.body, ...message.place };
  chat.update([message]);
  post(fields, message);
}

function sendBody() {
  const body = $("body").value;
  if (!(body.trim() || tray.files.length) || !phone) return;
  $("body").value = "";
  showFault("");
  const messages = tray.files.length ? tray.take(body) : [{ body }];
  fitComposer();
  for (const message of messages) send(message);
  if (document.activeElement !== $("body")) $("body").focus();
}

function showFault(text) {
  $("composer-fault").textContent = text;
}

function fitComposer() {
  const body = $("body");
  const isEmpty = !body.value.trim() && !tray.files.length;
  $("send").hidden = isEmpty;
  $("record").hidden = !isEmpty;
  if (CSS.supports("field-sizing", "content")) return;
  body.style.height = "auto";
  body.style.height = `${body.scrollHeight + 2}px`;
}

function quote(sid) {
  quoted = sid ? chat.get(sid) : null;
  $("replying").hidden = !quoted;
  if (!quoted) return;
  $("replying-to").textContent = quoted.mine ? "You" : "Whatsbot";
  $("replying-text").textContent = previewOf(quoted);
  $("body").focus();
}

// Details of one message

function inspect(sid) {
  chat.choose(sid);
  showDetails(sid);
  if (hasSheet.matches) $("bench").showPopover();
  $("details").scrollIntoView({ block: "nearest" });
}

function showDetails(sid) {
  inspected = sid;
  describe(sid && chat.get(sid), { zone: phone.zone });
}

// Files and voice notes

const tray = new Tray({ onChange: () => fitComposer(), onFault: showFault });
const recorder = new Recorder({
  onFault(text) {
    showFault(text);
    $("record").focus();
  },
  onDone(file) {
    if (file) send({ file, recorded: true });
    $(file ? "body" : "record").focus();
  },
});
$("record").addEventListener("click", () => {
  showFault("");
  recorder.start();
});
listenInViewer();

// Wiring

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  sendBody();
});
$("body").addEventListener("input", () => {
  showFault("");
  fitComposer();
});
$("body").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  sendBody();
});
for (const example of document.querySelectorAll("[data-example]")) {
  example.addEventListener("click", () => send({ body: example.textContent }));
}
$("cancel-reply").addEventListener("click", () => {
  quote(null);
  $("body").focus();
});
$("older").addEventListener("click", loadOlder);
$("jump").addEventListener("click", () => chat.scrollToEnd());
let wasAtEnd = true;
$("log").addEventListener("scroll", () => {
  wasAtEnd = !chat || chat.isAtEnd();
  if (wasAtEnd) $("jump").hidden = true;
});
// The composer grows, keyboards slide in and pictures load: whoever was at the end stays there.
const follower = new ResizeObserver(() => wasAtEnd && chat?.scrollToEnd());
for (const id of ["log", "messages"]) follower.observe($(id));
$("messages").addEventListener("keydown", (event) => {
  if (chat.onKey(event)) event.preventDefault();
});
$("open-bench").addEventListener("click", () => $("bench").showPopover());
hasSheet.addEventListener("change", () => $("bench").matches(":popover-open") && $("bench").hidePopover());
$("open-place").addEventListener("click", () => {
  for (const name of ["label", "address", "latitude", "longitude"]) $("place-form").elements[name].value = phone[name];
  $("place-dialog").returnValue = "";
  $("place-dialog").showModal();
});
$("place-dialog").addEventListener("close", () => {
  if ($("place-dialog").returnValue === "send") send(Object.fromEntries(new FormData($("place-form"))));
});
document.addEventListener("visibilitychange", () => document.hidden || look());
addEventListener("hashchange", pickUp);

showClocks();
pickUp();
look();
