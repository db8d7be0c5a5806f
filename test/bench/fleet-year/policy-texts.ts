import type { Dice } from "./dice.ts";

/** A policy as its authors have it: chains with rules, of which each revision changes a few. */
export interface Draft {
  policy: string;
  role: string;
  chains: { name: string; rules: string[] }[];
}

const SERVICES = ["ssh", "web", "mail", "dns", "vpn", "metrics", "backup", "gate"];

export function firstDraft(policy: string, role: string, dice: Dice): Draft {
  const own = dice.pick(SERVICES);
  const chains = [
    {
      name: "INPUT",
      rules: ["-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT", `-p tcp --dport 22 -j ${own}`],
    },
    { name: own, rules: [] as string[] },
  ];
  for (const { rules } of chains) while (rules.length < 15) rules.push(newRule(dice));
  return { policy, role, chains };
}

/** One small change: a rule more, a rule less, an order, or a chain's name. */
export function revise({ chains, ...rest }: Draft, dice: Dice): Draft {
  const copies = chains.map(({ name, rules }) => ({ name, rules: [...rules] }));
  const { rules } = dice.pick(copies);
  const [, own] = copies;
  if (dice.once(20) && own !== undefined) {
    const name = `${own.name.split("-")[0]}-${dice.number(1000)}`;
    for (const chain of copies)
      chain.rules = chain.rules.map((rule) => rule.replace(new RegExp(`-j ${own.name}$`), `-j ${name}`));
    own.name = name;
  } else if (dice.once(4) && rules.length > 3) {
    rules.splice(1, 0, ...rules.splice(2 + dice.number(rules.length - 2), 1));
  } else if (rules.length > 25) {
    rules.splice(2 + dice.number(rules.length - 2), 1, newRule(dice));
  } else {
    rules.splice(2 + dice.number(Math.max(1, rules.length - 2)), 0, newRule(dice));
  }
  return { ...rest, chains: copies };
}

function newRule(dice: Dice): string {
  const verdict = dice.pick(["ACCEPT", "DROP", "ACCEPT"]);
  return `-p ${dice.pick(["tcp", "tcp", "udp"])} -s ${dice.address()} --dport ${1 + dice.number(65_000)} -j ${verdict}`;
}

export function textOf({ policy, role, chains }: Draft): string {
  const targets = role === "*" ? '{ servers: ["*"] }' : `{ labels: { role: ${role} } }`;
  return [
    `policy: ${policy}`,
    `targets: ${targets}`,
    "firewall:",
    "  filter:",
    ...chains.flatMap(({ name, rules }) => [`    ${name}:`, ...rules.map((rule) => `      - ${rule}`)]),
    "",
  ].join("\n");
}
