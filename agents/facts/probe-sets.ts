import type { Namespace } from "../exec/namespace.ts";

const TYPES: Readonly<Record<string, string>> = {
  "bitmap:ip": "range 192.0.2.0/24",
  "bitmap:ip,mac": "range 192.0.2.0/24",
  "bitmap:port": "range 0-1023",
  "hash:ip": "",
  "hash:ip,mac": "",
  "hash:ip,mark": "",
  "hash:ip,port": "",
  "hash:ip,port,ip": "",
  "hash:ip,port,net": "",
  "hash:mac": "",
  "hash:net": "",
  "hash:net,iface": "",
  "hash:net,net": "",
  "hash:net,port": "",
  "hash:net,port,net": "",
  "list:set": "",
};

/** Set types of which this kernel makes one. `ipset -` goes on after a refusal. */
export async function probeSetTypes(room: Namespace): Promise<string[]> {
  const types = Object.entries(TYPES);
  const lines = types.map(([type, args], index) => `create slprobe-${index} ${type} ${args}`.trim());
  await room.run("ipset", ["-"], { input: `${lines.join("\n")}\nquit\n` });
  const { stdout } = await room.run("ipset", ["list", "-name"]);
  const made = new Set(stdout.split("\n"));
  return types.flatMap(([type], index) => (made.has(`slprobe-${index}`) ? [type] : [])).sort();
}
