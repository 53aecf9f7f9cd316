// How far a deletion is, without reloading; the page is loaded anew when it has come to its next step.
"use strict";

const page = document.querySelector("[data-progress]");
const state = document.querySelector("[data-state]");
let pause = 1000; // milliseconds

async function look() {
    try {
        const answer = await fetch(page.dataset.progress, { credentials: "same-origin" });
        if (!answer.ok) throw new Error(String(answer.status));
        const now = await answer.json();
        if (now.state !== state.textContent) {
            window.location.reload();
            return;
        }
        const bar = page.querySelector("progress");
        if (bar) {
            pause = now.done === bar.value ? Math.min(pause * 1.2, 5000) : 1000;
            bar.value = now.done;
            page.querySelector("[data-count]").textContent =
                `${now.done.toLocaleString("en")} of ${now.total.toLocaleString("en")}`;
        } else {
            pause = Math.min(pause * 1.5, 15000);
        }
    } catch {
        pause = Math.min(pause * 2, 30000);
    }
    window.setTimeout(look, pause);
}

if (page) window.setTimeout(look, pause);
