import type { Family } from "../base/names.ts";
import { familyOfAddress, formatAddress, mappedIpv4, parseAddress, parseRange } from "./addresses.ts";
import { wholeNumber } from "./fields.ts";
import { addressFault } from "./set-entry.ts";

/**
 * Where a test's packet comes from and goes to.
 *
 *   from: ADDRESS, ADDRESS:PORT, [IPv6]:PORT
 *   to:   tcp/PORT, udp/PORT, icmp; with an address before it, ADDRESS:tcp/PORT or [IPv6]:icmp
 */
export interface TestSource {
  family: Family;
  address: string;
  port?: number;
}

export interface TestGoal {
  protocol: "tcp" | "udp" | "icmp";
  port?: number;
  family?: Family;
  address?: string;
}

export interface EndFault {
  ok: false;
  message: string;
  expected: string;
}

export const SOURCE = "an address, or one with a port: 203.0.113.9, 203.0.113.9:5353, [2001:db8::9]:5353";
export const GOAL =
  "tcp/PORT, udp/PORT or icmp, after an address if it isn't the server's own: 192.0.2.5:tcp/22";

export function parseTestSource(text: string): { ok: true; source: TestSource } | EndFault {
  const [, bracketed, four, port] = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d+)$/.exec(text) ?? [];
  const address = readAddress(bracketed ?? four ?? text);
  if (!address.ok) return { ...address, expected: SOURCE };
  if (port === undefined) return { ok: true, source: address.found };
  if (bracketed !== undefined && address.found.family === 4) return bracketsFault(SOURCE);
  const number = wholeNumber(port, 1, 65_535);
  if (number === undefined) return { ok: false, message: `${port} is no port`, expected: SOURCE };
  return { ok: true, source: { ...address.found, port: number } };
}

export function parseTestGoal(text: string): { ok: true; goal: TestGoal } | EndFault {
  const [, bracketed, four, what = ""] =
    /^(?:(?:\[([^\]]*)\]|([^:[\]]*)):)?([a-z]+(?:\/.*)?)$/.exec(text) ?? [];
  const [protocol = "", port] = what.split("/", 2);
  if (protocol !== "tcp" && protocol !== "udp" && protocol !== "icmp")
    return { ok: false, message: "this is nowhere that a packet can go", expected: GOAL };
  const number = port === undefined ? undefined : wholeNumber(port, 1, 65_535);
  if (protocol === "icmp" && port !== undefined)
    return { ok: false, message: "icmp has no ports: a test sends an echo request", expected: "icmp" };
  if (protocol !== "icmp" && number === undefined)
    return { ok: false, message: `${protocol} needs a port`, expected: GOAL };
  const goal: TestGoal = { protocol, ...(number !== undefined && { port: number }) };
  const written = bracketed ?? four;
  if (written === undefined) return { ok: true, goal };
  const address = readAddress(written);
  if (!address.ok) return { ...address, expected: GOAL };
  if (bracketed !== undefined && address.found.family === 4) return bracketsFault(GOAL);
  return { ok: true, goal: { ...goal, ...address.found } };
}

/** What is wrong with both together; they are right by themselves. */
export function endsFault(
  hook: "input" | "output" | "forward",
  source: TestSource | undefined,
  goal: TestGoal,
): { message: string; expected: string; at: "from" | "to" } | undefined {
  if (source === undefined && hook !== "output")
    return { message: "from is missing", expected: `from: ${SOURCE}`, at: "from" };
  if (goal.address === undefined && hook !== "input")
    return {
      message: `a packet of ${hook} needs an address to go to`,
      expected: "such as 198.51.100.5:tcp/443",
      at: "to",
    };
  if (source?.family !== undefined && goal.family !== undefined && source.family !== goal.family)
    return {
      message: "from and to are of different families",
      expected: `an IPv${source.family} address`,
      at: "to",
    };
  if (goal.protocol === "icmp" && source?.port !== undefined)
    return { message: "icmp has no ports", expected: "an address alone", at: "from" };
  return undefined;
}

type Read = { ok: true; found: { family: Family; address: string } } | { ok: false; message: string };

function readAddress(text: string): Read {
  const parsed = parseAddress(text);
  if (parsed === undefined)
    return {
      ok: false,
      message: familyOfAddress(text) === undefined ? addressFault(text) : `${text} is more than one address`,
    };
  const range = parseRange(text);
  const ipv4 = range && mappedIpv4(range);
  if (ipv4 !== undefined)
    return { ok: false, message: `${text} is an IPv4 address written as IPv6: ${ipv4}` };
  return {
    ok: true,
    found: { family: parsed.family, address: formatAddress(parsed.family, parsed.value) },
  };
}

function bracketsFault(expected: string): EndFault {
  return { ok: false, message: "brackets are for IPv6", expected };
}
