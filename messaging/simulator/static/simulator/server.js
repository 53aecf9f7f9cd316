// The simulator's own JSON. Every call ends: with an answer, or with one of these three errors.

const PATIENCE = 10_000; // milliseconds
const PATIENCE_WITH_FILES = 120_000;

export class SessionEnded extends Error {}
export class Unreachable extends Error {}
export class Refused extends Error {}

async function call(path, { patience = PATIENCE, ...options } = {}) {
  let response;
  let answer;
  try {
    response = await fetch(`/simulator/${path}`, {
      ...options,
      credentials: "same-origin",
      redirect: "error",
      signal: AbortSignal.timeout(patience),
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
  const headers = { "X-CSRFToken": token };
  if (!fields.file) return call(path, { method: "POST", body: new URLSearchParams(fields), headers });
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) body.append(name, value);
  return call(path, { method: "POST", body, headers, patience: PATIENCE_WITH_FILES });
}

export const getMessages = (query) => call(`messages?${new URLSearchParams(query)}`);
export const sendMessage = (fields) => post("send", fields);
export const markSeen = (phone) => post("seen", { phone });

/** A SID of Twilio's shape. The page makes it, so that sending again after a broken connection is still one message. */
export function makeSid({ hasFile }) {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return (hasFile ? "MM" : "SM") + Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
