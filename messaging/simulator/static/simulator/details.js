// The journey of one message, for those who want to know.

import { meaningOf } from "./bubble.js";
import { exactTime } from "./clock.js";
import { $, h } from "./dom.js";
import { sizeOf } from "./media.js";

/** Show a message's journey in the bench; nothing if there is no message. */
export function describe(message, { zone }) {
  $("details-hint").hidden = Boolean(message);
  const lines = message ? linesOf(message, zone) : [];
  $("details-list").replaceChildren(...lines.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function linesOf(message, zone) {
  const at = (moment) => moment && exactTime(zone, moment);
  const { mine } = message;
  return [
    ["Status", meaningOf(message)],
    [mine ? "Sent" : "Created", at(message.created)],
    ["Webhook", message.webhook_status && `answered ${message.webhook_status}`],
    [mine ? "Taken" : "Told sent", mine ? at(message.delivered) : at(message.sent)],
    ["Told delivered", !mine && at(message.delivered)],
    [mine ? "Read" : "Told read", at(message.read)],
    ["File", message.media && `${message.media.type}, ${sizeOf(message.media.size)}${message.media.width ? `, ${message.media.width} × ${message.media.height}` : ""}`],
    ["Zone", zone],
    ["SID", h("span", { class: "sid" }, message.sid)],
  ].filter(([, value]) => value);
}
