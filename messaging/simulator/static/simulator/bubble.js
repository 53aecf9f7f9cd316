// One message as the chat shows it.

import { timeOfDay } from "./clock.js";
import { h, icon } from "./dom.js";
import { renderText } from "./format.js";
import { nameOf, renderFetching, renderMedia } from "./media.js";

const TICKS = {
  unsent: ["failed", "failed"],
  sending: ["waiting", ""],
  queued: ["waiting", ""],
  sent: ["tick", ""],
  delivered: ["ticks", ""],
  read: ["ticks", "read"],
  failed: ["failed", "failed"],
};
const MEANING = {
  unsent: "Not sent",
  sending: "Sending",
  sent: "Sent",
  delivered: "Delivered to the bot",
  read: "Read by the bot",
  failed: "Not delivered",
};
const MEANING_OF_THEIRS = {
  queued: "Waiting at Twilio",
  sent: "The bot was told: sent",
  delivered: "The bot was told: delivered",
  read: "The bot was told: read",
  failed: "The bot was told: failed",
};

export const meaningOf = (message) => (message.mine ? MEANING : MEANING_OF_THEIRS)[message.status];

export function previewOf(message) {
  if (message.place) return message.place.label || "Place";
  return (!message.drops_text && message.body) || (message.media ? nameOf(message.media) : "File");
}

/**
 * A list item. `on` has reply, inspect, choose, jumpTo and retry, each called with what it is about.
 * Its day line is shown by the chat, which knows the message before.
 */
export function renderMessage({ message, zone, on }) {
  const item = h(
    "li",
    { class: `message ${message.mine ? "mine" : "theirs"}`, "data-sid": message.sid, tabindex: "-1" },
    h(
      "div",
      { class: "row" },
      h(
        "div",
        { class: "bubble", onclick: () => on.choose(message.sid) },
        h("span", { class: "hidden-text" }, message.mine ? "You: " : "Whatsbot: "),
        message.quote && renderQuote(message.quote, on),
        h("div", { class: "media", hidden: true }),
        message.place ? renderPlace(message.place) : h("span", { class: "text" }, renderText(message.body)),
        h("div", { class: "meta" }, h("span", { class: "note" }), h("time"), h("span", { class: "ticks" }), h("span", { class: "hidden-text status" })),
        message.mine && renderFault(message.sid, on),
      ),
      renderActions(message.sid, on),
    ),
  );
  showState(item, { message, zone });
  return item;
}

/** Bring a list item up to date with what can change. The rest stays, so that nobody loses focus or hears it twice. */
export function showState(item, { message, zone }) {
  const { status } = message;
  const bad = status === "failed" || status === "unsent";
  const part = (selector) => item.querySelector(`.row ${selector}`);
  const [name, className] = TICKS[status];
  item.dataset.status = status;
  item.classList.toggle("failed", bad);
  item.classList.toggle("pending", status === "sending");
  part(".note").textContent = noteOf(message);
  part("time").textContent = timeOfDay(zone, message.created);
  part("time").dateTime = new Date(message.created).toISOString();
  part(".ticks").replaceChildren(icon(name, `tick ${className}`));
  part(".ticks").title = part(".status").textContent = meaningOf(message);
  part(".quote-it").hidden = !message.id;
  if (message.media || message.fetching || part(".media").firstChild || message.sid.startsWith("MM")) showMedia(item, message);
  if (!message.mine) return;
  part(".fault").hidden = !bad;
  part(".fault span").textContent = message.error ?? "";
}

/** A file comes, or is stored, after its message: what is shown of it changes once or twice, and never a player in use. */
function showMedia(item, message) {
  const place = item.querySelector(".row .media");
  const text = item.querySelector(".row .text");
  const { media } = message;
  const state = media ? media.sid ?? "sending" : message.fetching ? "fetching" : "failed";
  place.hidden = false;
  text.hidden = Boolean(message.drops_text || !message.body || (media?.kind === "document" && message.body === media.name));
  if (place.dataset.state === state) return;
  place.dataset.state = state;
  item.querySelector(".bubble").dataset.kind = media?.sid ? media.kind : "document";
  place.replaceChildren(media ? renderMedia(media) : renderFetching(message));
  for (const control of place.querySelectorAll("button, a, audio, video")) control.tabIndex = item.tabIndex;
}

function renderQuote(quote, on) {
  return h(
    "button",
    { class: "quote", type: "button", tabindex: "-1", onclick: () => on.jumpTo(quote.sid) },
    h("strong", {}, quote.mine ? "You" : "Whatsbot"),
    h("span", {}, quote.text),
  );
}

function renderPlace(place) {
  const spot = `${place.latitude.toFixed(5)}, ${place.longitude.toFixed(5)}`;
  const query = new URLSearchParams({ mlat: place.latitude, mlon: place.longitude });
  return h(
    "a",
    { class: "place", href: `https://www.openstreetmap.org/?${query}`, target: "_blank", rel: "noopener noreferrer" },
    icon("pin"),
    h("strong", {}, place.label || "Place"),
    place.address && h("span", {}, place.address),
    h("span", {}, spot),
  );
}

function noteOf(message) {
  const notes = [message.deliver_twice && "delivered twice"];
  if (message.drops_text) notes.push("WhatsApp shows no text with this file");
  if (message.lose_reply) notes.push(message.mine ? "reply gets lost" : "bot was told: error 503");
  return notes.filter(Boolean).join(", ");
}

function renderFault(sid, on) {
  return h(
    "div",
    { class: "fault" },
    h("span"),
    h("button", { type: "button", tabindex: "-1", onclick: () => on.retry(sid) }, "Send again"),
  );
}

function renderActions(sid, on) {
  const button = (name, className, label, act) =>
    h(
      "button",
      { class: `icon-button ${className}`, type: "button", tabindex: "-1", title: label, "aria-label": label, onclick: act },
      icon(name),
    );
  return h(
    "div",
    { class: "actions" },
    button("reply", "quote-it", "Quote this message", () => on.reply(sid)),
    button("info", "inspect", "Message details", () => on.inspect(sid)),
  );
}
