// Files in the chat: pictures and players in place, everything else as a card to download.

import { $, h, icon } from "./dom.js";

export const ICONS = { image: "picture", sticker: "picture", audio: "mic", video: "film", contacts: "person", document: "file" };
const NAMES = { image: "Photo", sticker: "Sticker", audio: "Audio", video: "Video", contacts: "Contact", document: "Document" };
const [WIDEST, TALLEST] = [308, 320]; // pixels, as in media.css
const PICTURES = /^image\/(jpeg|png|gif)$/;

/** Which kind of message a file chosen on this page makes; the server has the last word. */
export function kindOf({ type }) {
  if (type === "image/webp") return "sticker";
  if (PICTURES.test(type)) return "image";
  if (/^text\/(x-)?vcard$/.test(type)) return "contacts";
  return type.match(/^(audio|video)\//)?.[1] ?? "document";
}

/** WhatsApp has no place for a text at the others. */
export const takesCaption = (file) => ["image", "video", "document"].includes(kindOf(file));

export function sizeOf(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  const power = Math.min(Math.floor(Math.log10(bytes) / 3), 3);
  const number = bytes / 1000 ** power;
  return `${number.toFixed(number < 10 ? 1 : 0)} ${["", "kB", "MB", "GB"][power]}`;
}

export const addressOf = (media) => `/simulator/media/${media.sid}`;

export function nameOf(media) {
  if (media.kind === "audio" && !media.name) return "Voice message";
  return media.kind === "document" || media.kind === "audio" ? media.name || NAMES[media.kind] : NAMES[media.kind];
}

/** "PDF · 84 kB" */
function detailsOf(media) {
  const ending = media.name.match(/\.([A-Za-z0-9]{1,5})$/)?.[1] ?? media.type.split("/")[1];
  return `${ending.toUpperCase()} · ${sizeOf(media.size)}`;
}

/** What a message shows of its file; one that is not stored yet has no SID and is only named. */
export function renderMedia(media) {
  if (!media.sid) return renderCard(media);
  switch (media.kind) {
    case "image":
    case "sticker":
      return renderPicture(media);
    case "video":
      return h("video", { class: "video", src: addressOf(media), controls: true, playsinline: true, preload: "metadata", tabindex: "-1", "aria-label": nameOf(media) });
    case "audio":
      return h(
        "div",
        { class: "sound" },
        h("span", { class: "sound-name" }, icon("mic"), nameOf(media)),
        h("audio", { src: addressOf(media), controls: true, preload: "metadata", tabindex: "-1", "aria-label": nameOf(media) }),
      );
    default:
      return renderCard(media);
  }
}

function renderPicture(media) {
  const scale = Math.min(1, WIDEST / media.width, TALLEST / media.height); // known before it loads: nothing jumps
  const size = media.width && { width: Math.round(media.width * scale), height: Math.round(media.height * scale) };
  const picture = h("img", { src: addressOf(media), alt: nameOf(media), ...size, draggable: "false" });
  const button = h(
    "button",
    { class: `picture ${media.kind}`, type: "button", tabindex: "-1", "aria-label": `${nameOf(media)}. Enlarge`, onclick: () => enlarge(media) },
    picture,
  );
  // Something that only says it is a picture.
  picture.addEventListener("error", () => button.replaceWith(renderCard({ ...media, kind: "document" })));
  return button;
}

function renderCard(media) {
  const content = [
    icon(ICONS[media.kind]),
    h("strong", {}, media.kind === "contacts" ? media.name || NAMES.contacts : media.name || nameOf(media)),
    h("span", {}, detailsOf(media)),
    media.sid && icon("download", "download"),
  ];
  if (!media.sid) return h("div", { class: "card" }, ...content);
  return h("a", { class: "card", href: addressOf(media), download: media.name || media.sid, tabindex: "-1" }, ...content);
}

/** While Twilio fetches, and when it could not. */
export const renderFetching = (message) =>
  h("div", { class: "card fetching" }, icon("file"), h("strong", {}, message.fetching ? "Twilio fetches a file…" : "A file that did not come"), h("span", {}, message.error || "HEAD, then GET"));

function enlarge(media) {
  const picture = $("viewer-picture");
  picture.src = addressOf(media);
  picture.alt = media.name || nameOf(media);
  $("viewer-name").textContent = [media.name, media.width && `${media.width} × ${media.height}`, sizeOf(media.size)].filter(Boolean).join(" · ");
  $("viewer-download").href = addressOf(media);
  $("viewer-download").download = media.name || media.sid;
  $("viewer").showModal();
}

/** Close the viewer by its button, by Escape, or by a click beside the picture. */
export function listenInViewer() {
  $("viewer").addEventListener("click", (event) => {
    if (event.target === $("viewer") || event.target === $("viewer-stage")) $("viewer").close();
  });
  $("viewer-close").addEventListener("click", () => $("viewer").close());
  $("viewer").addEventListener("close", () => $("viewer-picture").removeAttribute("src"));
}
