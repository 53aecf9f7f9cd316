// WebM to Ogg, for Opus: a browser that records WebM sends what a phone sends. The sound itself is only repacked.
// Matroska: RFC 9559. Ogg: RFC 3533. Opus in Ogg: RFC 7845.

const MASTERS = new Set([0x18538067, 0x1f43b675, 0x1654ae6b, 0xae, 0xa0]); // Segment, Cluster, Tracks, TrackEntry, BlockGroup
const CODEC_PRIVATE = 0x63a2;
const BLOCKS = new Set([0xa3, 0xa1]); // SimpleBlock, Block
const RATE = 48_000; // Opus counts in this, whatever was recorded
const PAGE_SAMPLES = RATE; // a page each second
const MOST_SEGMENTS = 255;

/** The Ogg file (Uint8Array) with the Opus packets of a WebM file with one track. Throws if there are none. */
export function toOgg(webm) {
  const { head, packets } = readWebm(webm);
  if (!head || !packets.length) throw new Error("No Opus in this recording");
  const pages = new Pages();
  pages.write([head], 0, 2); // the first page of the stream
  pages.write([makeTags()], 0);
  let waiting = [];
  let segments = 0;
  let samples = 0;
  let begun = 0;
  for (const packet of packets) {
    const needed = Math.floor(packet.length / 255) + 1;
    if (waiting.length && (segments + needed > MOST_SEGMENTS || samples - begun >= PAGE_SAMPLES)) {
      pages.write(waiting, samples);
      [waiting, segments, begun] = [[], 0, samples];
    }
    waiting.push(packet);
    segments += needed;
    samples += samplesOf(packet);
  }
  pages.write(waiting, samples, 4); // the last one
  return pages.join();
}

// Reading WebM

/** A flat walk: containers are entered, everything else is read or skipped, so that unknown sizes do not matter. */
function readWebm(bytes) {
  const packets = [];
  let head = null;
  let at = 0;
  while (at < bytes.length) {
    const id = readNumber(bytes, at, { keepMarker: true });
    const size = readNumber(bytes, at + id.length, { keepMarker: false });
    const start = at + id.length + size.length;
    if (MASTERS.has(id.value)) {
      at = start;
      continue;
    }
    const content = bytes.subarray(start, start + size.value);
    if (id.value === CODEC_PRIVATE) head = content;
    else if (BLOCKS.has(id.value)) packets.push(packetOf(content));
    at = start + size.value;
  }
  return { head, packets };
}

/** A variable-length number: the zeros before the first one bit say how many bytes follow. */
function readNumber(bytes, at, { keepMarker }) {
  const first = bytes[at];
  if (!first) throw new Error("Not WebM");
  const length = Math.clz32(first) - 23;
  let value = keepMarker ? first : first & (0xff >> length);
  for (let next = 1; next < length; next++) value = value * 256 + bytes[at + next];
  return { value, length };
}

/** What stands after a block's track number, time and flags. */
function packetOf(block) {
  const start = readNumber(block, 0, { keepMarker: false }).length + 3;
  if (block[start - 1] & 0x06) throw new Error("Several packets in a block");
  return block.subarray(start);
}

/** How long a packet sounds, from its first bytes (RFC 6716 §3.1). */
function samplesOf(packet) {
  const config = packet[0] >> 3;
  const lengths = config < 12 ? [480, 960, 1920, 2880] : config < 16 ? [480, 960] : [120, 240, 480, 960];
  const frames = [1, 2, 2, packet[1] & 63][packet[0] & 3];
  return lengths[config % lengths.length] * frames;
}

// Writing Ogg

class Pages {
  constructor() {
    this.pages = [];
    this.serial = crypto.getRandomValues(new Uint32Array(1))[0];
  }

  /** A page of whole packets; `samples` is how many the stream has up to its end. */
  write(packets, samples, flags = 0) {
    const lacing = packets.flatMap((packet) => [...Array(Math.floor(packet.length / 255)).fill(255), packet.length % 255]);
    const page = new Uint8Array(27 + lacing.length + packets.reduce((sum, packet) => sum + packet.length, 0));
    const view = new DataView(page.buffer);
    page.set(ascii("OggS"));
    page[5] = flags;
    view.setBigUint64(6, BigInt(samples), true);
    view.setUint32(14, this.serial, true);
    view.setUint32(18, this.pages.length, true);
    page[26] = lacing.length;
    page.set(lacing, 27);
    let at = 27 + lacing.length;
    for (const packet of packets) {
      page.set(packet, at);
      at += packet.length;
    }
    view.setUint32(22, checksum(page), true);
    this.pages.push(page);
  }

  join() {
    const whole = new Uint8Array(this.pages.reduce((sum, page) => sum + page.length, 0));
    let at = 0;
    for (const page of this.pages) {
      whole.set(page, at);
      at += page.length;
    }
    return whole;
  }
}

function makeTags() {
  const vendor = ascii("Whatsbot simulator");
  const tags = new Uint8Array(16 + vendor.length);
  tags.set(ascii("OpusTags"));
  new DataView(tags.buffer).setUint32(8, vendor.length, true);
  tags.set(vendor, 12); // and no comments
  return tags;
}

const ascii = (text) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

// CRC-32 with the polynomial 0x04c11db7, neither reflected nor inverted.
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte << 24;
  for (let bit = 0; bit < 8; bit++) rest = (rest << 1) ^ (rest < 0 ? 0x04c11db7 : 0);
  return rest;
});

function checksum(bytes) {
  let rest = 0;
  for (const byte of bytes) rest = (rest << 8) ^ TABLE[(rest >>> 24) ^ byte];
  return rest >>> 0;
}
