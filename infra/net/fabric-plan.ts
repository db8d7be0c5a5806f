/** Who stands on the wire, and at which addresses. Pure. */

export interface HostPlan {
  /** As "server-1". */
  name: string;
  namespace: string;
  /** Device that leads to the wire. */
  device: string;
  /** Device at the other end, in the switch. */
  port: string;
  ipv4: string;
  ipv6: string;
}

export interface FabricPlan {
  switchNamespace: string;
  bridge: string;
  hosts: HostPlan[];
}

export const ipv4Prefix = 24;
export const ipv6Prefix = 64;

/** The last number of the address, in both families: server-1 is 10.77.0.11 and fd77::11. */
const fixedNumbers: Readonly<Record<string, number>> = { control: 1, client: 100, attacker: 200 };
const firstServer = 11;
const firstOther = 120;

export interface FabricPlanInput {
  prefix: string;
  servers: number;
  /** Other hosts by name; control, client and attacker have addresses of their own. */
  others: readonly string[];
}

export function planFabric(input: FabricPlanInput): FabricPlan {
  const { prefix } = input;
  if (input.servers > 80)
    throw new Error(`a fabric holds at most 80 servers, and ${input.servers} were asked for`);
  const servers = Array.from({ length: input.servers }, (_, index) =>
    planHost(prefix, `server-${index + 1}`, firstServer + index),
  );
  let next = firstOther;
  const others = input.others.map((name) => planHost(prefix, name, fixedNumbers[name] ?? next++));
  return { switchNamespace: `${prefix}switch`, bridge: "br0", hosts: [...servers, ...others] };
}

function planHost(prefix: string, name: string, number: number): HostPlan {
  return {
    name,
    namespace: `${prefix}${name}`,
    device: "eth0",
    port: `to-${name}`.slice(0, 15), // the kernel's limit for device names
    ipv4: `10.77.0.${number}`,
    ipv6: `fd77::${number}`,
  };
}
