/** What is changed by a running tool all the time: a policy that held it would fight with that tool. */
const TOOLS: readonly (readonly [tool: string, owns: RegExp])[] = [
  ["Docker", /^(DOCKER(-.*)?|docker\d+|br-[0-9a-f]{12})$/],
  ["fail2ban", /^(f2b|fail2ban)-/],
  ["ufw", /^ufw6?-/],
  ["firewalld", /^(IN|FWD|FWDI|FWDO|POST|PRE)_|^(INPUT|FORWARD|OUTPUT|PREROUTING|POSTROUTING)_/],
  ["Kubernetes", /^(KUBE|CNI)-/],
  ["Calico", /^cali(-|\d)/],
  ["libvirt", /^(LIBVIRT_|virbr\d)/],
  ["Tailscale", /^(ts-|tailscale\d)/],
  ["sshguard", /^sshguard/],
  ["psad", /^PSAD_/],
  ["CrowdSec", /^(CROWDSEC|crowdsec)/],
];

/** The tool that has a chain, a set or a device of this name. */
export function toolOf(name: string): string | undefined {
  return TOOLS.find(([, owns]) => owns.test(name))?.[0];
}

/** The tool that a rule belongs to: by the chain it goes to, its sets and devices. */
export function toolOfRule(rule: string): string | undefined {
  const names = rule.matchAll(/(?:^| )(?:-[jgio]|--(?:match|add|del|map)-set) (\S+)/g);
  return [...names].map(([, name = ""]) => toolOf(name)).find((tool) => tool !== undefined);
}
