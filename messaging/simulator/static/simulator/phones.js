// The list of phones, and what each of them knows about itself.

import { cityOf, timeOfDay } from "./clock.js";
import { $, h } from "./dom.js";

export const phones = new Map(
  Array.from(document.querySelectorAll("[data-phone]"), (link) => [link.dataset.phone, { ...link.dataset, key: link.dataset.phone, link }]),
);

for (const phone of phones.values()) {
  const known = phone.zone !== "UTC" || phone.certain === "yes";
  phone.place = known ? cityOf(phone.zone) : "UTC";
  const line = phone.link.querySelector(".phone-zone");
  line.textContent = phone.place + (phone.certain === "yes" ? "" : " (guess)");
  if (phone.certain !== "yes") line.title = known ? "A guess: this number could be elsewhere" : "Nothing is known about where this phone is";
}

/** Every phone's own time of day. */
export function showClocks() {
  for (const phone of phones.values()) phone.link.querySelector(".phone-clock").textContent = timeOfDay(phone.zone);
}

/** Last messages, unread counts and typing, from the server's list. */
export function showPhones(list, { open }) {
  let unread = 0;
  for (const { key, last, typing, unread: count } of list) {
    const { link } = phones.get(key);
    const isOpen = key === open;
    const preview = link.querySelector(".phone-last");
    preview.classList.toggle("typing-now", typing);
    preview.textContent = typing ? "typing…" : last ? (last.mine ? "You: " : "") + last.text : "No messages yet";
    const counter = link.querySelector(".phone-unread");
    counter.hidden = isOpen || count === 0;
    counter.replaceChildren(String(count), h("span", { class: "hidden-text" }, " unread"));
    unread += isOpen ? 0 : count;
  }
  document.title = (unread ? `(${unread}) ` : "") + "Whatsbot simulator";
}

/** Mark the phone in hand, and put its time and number on the screen. */
export function showInHand(phone) {
  for (const other of phones.values()) other.link.setAttribute("aria-current", String(other === phone));
  $("statusbar-zone").textContent = phone.number.startsWith("+") ? phone.number : phone.name;
  $("body").placeholder = innerWidth < 720 ? "Message" : `Message from ${phone.name}`; // a narrow one has no room
}
