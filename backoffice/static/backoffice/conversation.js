// Keeps the newest page of a conversation up to date while somebody looks at it, and counts what is being written.
"use strict";
(() => {
    const SECONDS = 4;
    const MOST_FAILURES = 5;
    const talk = document.getElementById("bo-talk");
    const announce = document.getElementById("bo-announce");
    const composer = () => document.getElementById("bo-composer");
    let timer = 0;
    let failures = 0;

    // What the server made of an entry, whatever has been opened or played in it since.
    const read = (entry) => {
        const copy = entry.cloneNode(true);
        copy.querySelectorAll("details[open]").forEach((details) => details.removeAttribute("open"));
        return copy.innerHTML.replace(/\s+/g, " ");
    };
    const isInUse = (element) => element.contains(document.activeElement)
        || [...element.querySelectorAll("audio, video")].some((player) => !player.paused);

    const takeEntries = (fresh) => {
        let added = 0;
        for (const entry of fresh.querySelectorAll(":scope > li")) {
            const shown = document.getElementById(entry.id);
            if (!shown) {
                talk.append(entry);
                added += entry.classList.contains("bo-in") ? 1 : 0;
            } else if (read(shown) !== read(entry) && !isInUse(shown)) {
                const open = [...shown.querySelectorAll("details")].map((details) => details.open);
                shown.replaceWith(entry);
                entry.querySelectorAll("details").forEach((details, place) => { details.open = Boolean(open[place]); });
            }
        }
        return added;
    };

    const takeComposer = (fresh) => {
        const shown = composer();
        const text = shown.querySelector("textarea");
        if (shown.dataset.state !== fresh.dataset.state && !(text && text.value) && !isInUse(shown)) {
            shown.replaceWith(fresh);
            count();
            return;
        }
        document.getElementById("bo-window").replaceWith(fresh.querySelector("#bo-window"));
        const [seen, newest] = [shown, fresh].map((each) => each.querySelector("input[name=seen]"));
        if (seen && newest) seen.value = newest.value;
    };

    const take = (html) => {
        const page = new DOMParser().parseFromString(html, "text/html");
        const isComposerSeen = composer().getBoundingClientRect().top < window.innerHeight;
        const before = talk.querySelector(":scope > li.bo-entry");
        const isGap = before && ![...page.querySelectorAll("li.bo-entry")].some((entry) => document.getElementById(entry.id));
        if (isGap) {
            stop("There is much that is new. Reload the page to see it.");
            return;
        }
        const added = takeEntries(page.querySelector("ol"));
        takeComposer(page.getElementById("bo-composer"));
        if (added) {
            document.getElementById("bo-empty")?.remove();
            announce.textContent = `${added} new message${added > 1 ? "s" : ""} from ${talk.dataset.name}`;
            if (isComposerSeen) composer().scrollIntoView({ block: "end" });
        }
    };

    const stop = (why) => {
        clearInterval(timer);
        timer = 0;
        announce.textContent = why;
    };

    const look = async () => {
        if (document.visibilityState !== "visible" || !timer) return;
        try {
            const answer = await fetch(talk.dataset.newest, { redirect: "manual", cache: "no-store" });
            if (!answer.ok) {
                // Signed out, no open reason any more, or the person is gone; a failing server may recover.
                if (answer.status < 500 || ++failures >= MOST_FAILURES) stop("This page is not kept up to date any more. Reload it to go on.");
                return;
            }
            failures = 0;
            take(await answer.text());
        } catch {
            // The network is away: the next look may succeed.
        }
    };

    const count = () => {
        const text = composer().querySelector("textarea[data-counter]");
        if (!text) return;
        const counter = document.getElementById(text.dataset.counter);
        const say = () => { counter.textContent = `${text.value.length} of at most ${text.maxLength} characters`; };
        text.addEventListener("input", say);
        say();
    };

    // A double click sends once: the server knows the form's key; this spares people the wait.
    document.addEventListener("submit", (event) => {
        if (composer().contains(event.target)) {
            event.submitter?.setAttribute("aria-busy", "true");
            setTimeout(() => composer().querySelectorAll("button").forEach((button) => { button.disabled = true; }));
        }
    });
    window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

    count();
    if (!location.hash) composer().scrollIntoView({ block: "end" });
    timer = setInterval(look, SECONDS * 1000);
})();
