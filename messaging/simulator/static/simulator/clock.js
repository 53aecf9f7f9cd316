// Times as the person holding the phone reads them: always in the phone's own zone.

const formats = new Map();

function format(zone, options, moment) {
  const key = zone + JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...options }));
  return formats.get(key).format(moment);
}

export const timeOfDay = (zone, moment = Date.now()) => format(zone, { hour: "2-digit", minute: "2-digit" }, moment);

export const exactTime = (zone, moment) =>
  format(zone, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" }, moment);

/** One string per calendar day of the zone. */
export const dayOf = (zone, moment) => format(zone, { year: "numeric", month: "2-digit", day: "2-digit" }, moment);

/** "Today", "Yesterday", "Tuesday 3 June", or with the year if it is not this one. */
export function nameOfDay(zone, moment, now = Date.now()) {
  const daysAgo = (dayNumber(zone, now) - dayNumber(zone, moment)) / 86_400_000;
  if (daysAgo === 0) return "Today";
  if (daysAgo === 1) return "Yesterday";
  const thisYear = format(zone, { year: "numeric" }, moment) === format(zone, { year: "numeric" }, now);
  const options = { weekday: "long", day: "numeric", month: "long", ...(thisYear ? {} : { year: "numeric" }) };
  return format(zone, options, moment).replace(",", "");
}

// Calendar days, not 24 hours: days on which the clocks change are longer or shorter.
function dayNumber(zone, moment) {
  const [day, month, year] = dayOf(zone, moment).split("/").map(Number);
  return Date.UTC(year, month - 1, day);
}

/** "New York" for America/New_York. */
export const cityOf = (zone) => zone.split("/").at(-1).replaceAll("_", " ");
