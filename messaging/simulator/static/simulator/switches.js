// The switches that make the next message a hard one.

import { $, h, icon } from "./dom.js";

const SWITCHES = [
  ["deliver-twice", "Next message: delivered twice"],
  ["lose-reply", "Next message: reply gets lost"],
];

/** What is switched on for the message that is being sent; then everything is off again. */
export function takeSwitches() {
  const taken = { deliver_twice: $("deliver-twice").checked, lose_reply: $("lose-reply").checked };
  for (const [id] of SWITCHES) $(id).checked = false;
  showArmed();
  return taken;
}

/** What the switches will do to the next message, where one can see it while writing. */
function showArmed() {
  const switchOff = (id) => () => {
    $(id).checked = false;
    showArmed();
    $("body").focus();
  };
  $("armed").replaceChildren(
    ...SWITCHES.filter(([id]) => $(id).checked).map(([id, text]) =>
      h("button", { type: "button", "aria-label": `${text}. Switch off`, onclick: switchOff(id) }, text, icon("close")),
    ),
  );
}

for (const [id] of SWITCHES) $(id).addEventListener("change", showArmed);
