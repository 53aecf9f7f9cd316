// The simulator's own JSON. Every call ends: with an answer, or with one of these three errors.

const PATIENCE = 10_000; // milliseconds

export class SessionEnded extends Error {}
export class Unreachable extends Error {}
export class Refused extends Error {}

async function call(path, options = {}) {
  let response;
  let answer;
  try {
    response = await fetch(`/simulator/${path}`, {
      ...options,
      credentials: "same-origin",
      redirect: "error",
      signal: AbortSignal.timeout(PATIENCE),
    });
    if (response.status === 403) throw new SessionEnded();
    answer = await response.json();
  } catch (error) {
    if (error instanceof SessionEnded) throw error;
    throw new Unreachable();
  }
  if (response.status >= 500) throw new Unreachable();
  if (!response.ok) throw new Refused(answer.error);
  return answer;
}

function post(path, fields) {
  const token = document.querySelector("[name=csrfmiddlewaretoken]").value;
  return call(path, { method: "POST", body: new URLSearchParams(fields), headers: { "X-CSRFToken": token } });
}

export const getMessages = (query) => call(`messages?${new URLSearchParams(query)}`);
export const sendMessage = (fields) => post("send", fields);
export const markSeen = (phone) => post("seen", { phone });

/** A SID of Twilio's shape. The page makes it, so that sending again after a broken connection is still one message. */
export function makeSid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return "SM" + Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
