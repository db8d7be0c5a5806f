import type { Family } from "../base/names.ts";

/**
 * Addresses and networks as bytes of text, to and from the numbers that they are: for lists of a million, where a string
 * for each would cost more than all the rest. Understands what Sluice and the kernel write, and that alone.
 */
export interface AddressKey {
  /** IPv4: the first word; IPv6: four, the highest first */
  readonly words: Uint32Array;
  prefix: number;
}

export function createKey(): AddressKey {
  return { words: new Uint32Array(4), prefix: 0 };
}

const SLASH = 47;
const DOT = 46;
const COLON = 58;
const ZERO = 48;
const NINE = 57;

/** Reads `192.0.2.0/24` or `2001:db8::1` from bytes into `key`; undefined where they are neither. */
export function readKey(bytes: Uint8Array, from: number, to: number, key: AddressKey): Family | undefined {
  let end = to;
  for (let at = from; at < to; at++) {
    if (bytes[at] === SLASH) end = at;
  }
  const family = readAddress(bytes, from, end, key.words);
  if (family === undefined) return undefined;
  const bits = family === 4 ? 32 : 128;
  const prefix = end === to ? bits : decimal(bytes, end + 1, to);
  if (prefix > bits) return undefined;
  key.prefix = prefix;
  return family;
}

/**
 * As `readKey` where a line begins, for IPv4 alone, and several times quicker: returns where the address or network ends,
 * -1 where there is none.
 */
export function readIpv4(bytes: Uint8Array, from: number, to: number, key: AddressKey): number {
  let value = 0;
  let part = 0;
  let dots = 0;
  let start = from;
  let at = from;
  for (; at < to; at++) {
    const byte = bytes[at] ?? 0;
    if (byte >= ZERO && byte <= NINE) {
      part = part * 10 + byte - ZERO;
    } else {
      if (part > 255 || at === start || at - start > 3) return -1;
      value = (value << 8) | part;
      part = 0;
      start = at + 1;
      if (byte !== DOT) break;
      dots++;
    }
  }
  if (dots !== 3 || at === to) return -1;
  if (bytes[at] === SLASH) {
    at++;
    for (part = 0; at < to && isDigit(bytes[at] ?? 0); at++) part = part * 10 + (bytes[at] ?? 0) - ZERO;
    if (at === start || part > 32 || at - start > 2) return -1;
  } else {
    part = 32;
  }
  key.words[0] = value >>> 0;
  key.prefix = part;
  return at;
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= NINE;
}

function readAddress(bytes: Uint8Array, from: number, to: number, words: Uint32Array): Family | undefined {
  for (let at = from; at < to && at < from + 5; at++) {
    if (bytes[at] === DOT) {
      const value = dotted(bytes, from, to);
      if (value < 0) return undefined;
      words[0] = value;
      return 4;
    }
    if (bytes[at] === COLON) return readIpv6(bytes, from, to, words) ? 6 : undefined;
  }
  return undefined;
}

/** -1 where it is no dotted address */
function dotted(bytes: Uint8Array, from: number, to: number): number {
  let value = 0;
  let part = -1;
  let parts = 0;
  for (let at = from; at <= to; at++) {
    const byte = at === to ? DOT : (bytes[at] ?? 0);
    if (byte === DOT) {
      if (part < 0 || part > 255) return -1;
      value = value * 256 + part;
      parts++;
      part = -1;
    } else if (isDigit(byte)) {
      part = (part < 0 ? 0 : part * 10) + byte - ZERO;
    } else {
      return -1;
    }
  }
  return parts === 4 ? value : -1;
}

/** what is being read: nothing is kept in it from one to the next */
const groups = new Uint16Array(8);

function readIpv6(bytes: Uint8Array, from: number, to: number, words: Uint32Array): boolean {
  let count = 0;
  let gap = -1;
  let at = from;
  while (at < to) {
    if (bytes[at] === COLON && bytes[at + 1] === COLON && at + 1 < to) {
      if (gap >= 0) return false;
      gap = count;
      at += 2;
      continue;
    }
    if (bytes[at] === COLON && at > from) at++;
    let value = 0;
    const start = at;
    for (; at < to && bytes[at] !== COLON; at++) {
      const byte = bytes[at] ?? 0;
      if (byte === DOT) {
        const tail = dotted(bytes, start, to);
        if (tail < 0 || count > 6) return false;
        groups[count++] = tail >>> 16;
        groups[count++] = tail & 0xffff;
        at = to;
        value = -1;
        break;
      }
      const digit = hexDigit(byte);
      if (digit < 0 || at - start > 3) return false;
      value = value * 16 + digit;
    }
    if (value < 0) break;
    if (at === start || count > 7) return false;
    groups[count++] = value;
  }
  if (gap < 0 ? count !== 8 : count > 7) return false;
  const missing = 8 - count;
  for (let word = 0; word < 4; word++) {
    const high = expanded(2 * word, gap, missing);
    words[word] = ((high << 16) | expanded(2 * word + 1, gap, missing)) >>> 0;
  }
  return true;
}

/** The group at a place, with the zeros of `::` put in. */
function expanded(place: number, gap: number, missing: number): number {
  if (gap < 0 || place < gap) return groups[place] ?? 0;
  return place < gap + missing ? 0 : (groups[place - missing] ?? 0);
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const letter = byte | 32;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}

/** A number of three digits at most; else one that nothing fits. */
function decimal(bytes: Uint8Array, from: number, to: number): number {
  if (to === from || to - from > 3) return 999;
  let value = 0;
  for (let at = from; at < to; at++) {
    const digit = (bytes[at] ?? 0) - 48;
    if (digit < 0 || digit > 9) return 999;
    value = value * 10 + digit;
  }
  return value;
}

/** Writes the canonical text at `at`; returns where it ends. At most 49 bytes. */
export function writeKey(family: Family, key: AddressKey, into: Uint8Array, at: number): number {
  let end = family === 4 ? writeDotted(key.words[0] ?? 0, into, at) : writeIpv6(key.words, into, at);
  if (key.prefix !== (family === 4 ? 32 : 128)) {
    into[end++] = SLASH;
    end = writeDecimal(key.prefix, into, end);
  }
  return end;
}

/** Writes a whole number; returns where it ends. */
export function writeDecimal(value: number, into: Uint8Array, at: number): number {
  let digits = 1;
  for (let limit = 10; value >= limit; limit *= 10) digits++;
  let rest = value;
  for (let place = at + digits - 1; place >= at; place--) {
    into[place] = 48 + (rest % 10);
    rest = Math.floor(rest / 10);
  }
  return at + digits;
}

function writeDotted(value: number, into: Uint8Array, at: number): number {
  let end = writeOctet(value >>> 24, into, at);
  into[end++] = DOT;
  end = writeOctet((value >>> 16) & 255, into, end);
  into[end++] = DOT;
  end = writeOctet((value >>> 8) & 255, into, end);
  into[end++] = DOT;
  return writeOctet(value & 255, into, end);
}

/** As `writeDecimal`, without a division: four for each of a million lines. */
function writeOctet(value: number, into: Uint8Array, at: number): number {
  const hundreds = value >= 200 ? 2 : value >= 100 ? 1 : 0;
  const rest = value - 100 * hundreds;
  const tens = (rest * 205) >>> 11;
  let end = at;
  if (hundreds > 0) into[end++] = ZERO + hundreds;
  if (value >= 10) into[end++] = ZERO + tens;
  into[end++] = ZERO + rest - 10 * tens;
  return end;
}

/** As inet_ntop: the first longest run of two or more zero groups is `::`; mapped addresses end in dotted decimals. */
function writeIpv6(words: Uint32Array, into: Uint8Array, at: number): number {
  const group = (place: number) => ((words[place >> 1] ?? 0) >>> (place % 2 === 0 ? 16 : 0)) & 0xffff;
  let best = -1;
  let longest = 1;
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && group(start + length) === 0) length++;
    if (length > longest) {
      best = start;
      longest = length;
    }
    start += length;
  }
  const isDotted = best === 0 && (longest === 6 || (longest === 5 && group(5) === 0xffff));
  let end = at;
  for (let place = 0; place < 8; place++) {
    if (place === best) {
      into[end++] = COLON;
      if (place + longest === 8) into[end++] = COLON;
      place += longest - 1;
      continue;
    }
    if (place > 0) into[end++] = COLON;
    if (isDotted && place === 6) return writeDotted(words[3] ?? 0, into, end);
    end = writeHex(group(place), into, end);
  }
  return end;
}

function writeHex(value: number, into: Uint8Array, at: number): number {
  let end = at;
  for (const shift of [12, 8, 4, 0]) {
    if (value >>> shift === 0 && shift > 0) continue;
    const digit = (value >>> shift) & 15;
    into[end++] = digit < 10 ? 48 + digit : 87 + digit;
  }
  return end;
}
