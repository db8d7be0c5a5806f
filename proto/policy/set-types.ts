/** What one element of a set is made of, as ipset names it after the colon. */
export type Part = "ip" | "net" | "port" | "mac" | "mark" | "iface" | "set";

export interface SetType {
  parts: readonly Part[];
  /** one kernel set holds one family */
  hasFamily: boolean;
  /** `create` options beside family, in the order they are given to ipset */
  options: readonly string[];
}

const EVERY = ["timeout", "counters", "comment", "skbinfo"] as const;
const HASH = ["hashsize", "maxelem", "bucketsize", "initval", "forceadd", ...EVERY] as const;

/** Every type of ipset. Whether a server's kernel has it, the server says. */
export const SET_TYPES: ReadonlyMap<string, SetType> = new Map([
  ["bitmap:ip", bitmap(["ip"], "netmask")],
  ["bitmap:ip,mac", bitmap(["ip", "mac"])],
  ["bitmap:port", bitmap(["port"])],
  ["hash:ip", hash(["ip"], "netmask", "bitmask")],
  ["hash:mac", { parts: ["mac"], hasFamily: false, options: HASH }],
  ["hash:net", hash(["net"])],
  ["hash:net,net", hash(["net", "net"], "netmask", "bitmask")],
  ["hash:ip,port", hash(["ip", "port"], "netmask", "bitmask")],
  ["hash:ip,port,ip", hash(["ip", "port", "ip"])],
  ["hash:ip,port,net", hash(["ip", "port", "net"])],
  ["hash:ip,mark", hash(["ip", "mark"], "markmask")],
  ["hash:net,port", hash(["net", "port"])],
  ["hash:net,port,net", hash(["net", "port", "net"])],
  ["hash:net,iface", hash(["net", "iface"])],
  ["hash:ip,mac", hash(["ip", "mac"])],
  ["list:set", { parts: ["set"], hasFamily: false, options: ["size", ...EVERY] }],
]);

function bitmap(parts: readonly Part[], ...own: string[]): SetType {
  return { parts, hasFamily: false, options: ["range", ...own, ...EVERY] };
}

function hash(parts: readonly Part[], ...own: string[]): SetType {
  return { parts, hasFamily: true, options: [...own, ...HASH] };
}
