import type {
  ClassOf,
  ClassTree,
  LeafQdisc,
  PolicyDocument,
  PolicyRule,
  PolicyVar,
  ShapingTree,
} from "@sluice/proto/policy/document";
import { VARIABLE } from "@sluice/proto/policy/variables";
import { listed, type Reporter, type Spot } from "./findings.ts";
import { compareText } from "./input.ts";

interface ServerNames {
  name: string;
  labels: Readonly<Record<string, string>>;
}

/** What each variable of a policy is on this server: by its name, then by its labels in sorted order, then as written. */
export function resolveVariables(
  vars: Readonly<Record<string, PolicyVar>>,
  server: ServerNames,
): Map<string, string> {
  const labels = Object.entries(server.labels)
    .map(([key, value]) => `${key}=${value}`)
    .sort(compareText);
  return new Map(
    Object.entries(vars).map(([name, { value, servers, labels: byLabel }]) => {
      const label = labels.find((text) => Object.hasOwn(byLabel, text));
      if (Object.hasOwn(servers, server.name)) return [name, servers[server.name] ?? value];
      return [name, label === undefined ? value : (byLabel[label] ?? value)];
    }),
  );
}

/** One text with its variables replaced; one without a value stays as it is written. */
export function fillVariables(
  text: string,
  values: ReadonlyMap<string, string>,
  onMissing: (name: string, written: string) => void = () => {},
): string {
  return text.replace(VARIABLE, (written, braced: string | undefined, plain: string | undefined) => {
    const name = braced ?? plain;
    if (name === undefined) return "$";
    const value = values.get(name);
    if (value === undefined) onMissing(name, written);
    return value ?? written;
  });
}

/**
 * The same document with every variable replaced, so that nothing after this knows of variables. One word stays one word,
 * whatever its value: a value can't become a second argument. Values hold no variables of their own.
 */
export function substituteVariables(
  document: PolicyDocument,
  server: ServerNames,
  report: Reporter,
): PolicyDocument {
  const values = resolveVariables(document.vars, server);

  function fill(text: string, at: Spot): string {
    return fillVariables(text, values, (name, whole) => {
      const known = listed([...values.keys()].sort(compareText), "no variable at all");
      report.problem(at, `the variable $${name} has no value here`, { found: whole, expected: known });
    });
  }
  function fillRule(rule: PolicyRule, path: string): PolicyRule {
    const at = { line: rule.line, column: rule.column, path };
    return { ...rule, words: rule.words.map((word) => fill(word, at)) };
  }
  function fillWords(words: readonly string[], at: Spot): string[] {
    return words.map((word) => fill(word, at));
  }
  function fillQdisc(qdisc: LeafQdisc, at: Spot): LeafQdisc {
    return { ...qdisc, args: fillWords(qdisc.args, at) };
  }
  function fillClass<Own>(shaped: ClassOf<Own>, path: string): ClassOf<Own> {
    const own = `${path}.${shaped.name}`;
    return {
      ...shaped,
      match: shaped.match.map((rule) => fillRule(rule, `${own}.match`)),
      filters: shaped.filters.map((filter) => ({
        ...filter,
        args: fillWords(filter.args, { line: filter.line, column: filter.column, path: `${own}.filters` }),
      })),
      leaf:
        shaped.leaf &&
        fillQdisc(shaped.leaf, { line: shaped.line, column: shaped.column, path: `${own}.leaf` }),
      inside: shaped.inside && fillClasses(shaped.inside, `${own}.leaf`),
      children: shaped.children.map((child) => fillClass(child, `${own}.classes`)),
    };
  }
  function fillClasses(tree: ClassTree, path: string): ClassTree {
    const fill = <Own>(classes: readonly ClassOf<Own>[]) =>
      classes.map((shaped) => fillClass(shaped, `${path}.classes`));
    switch (tree.kind) {
      case "htb":
        return { ...tree, classes: fill(tree.classes) };
      case "hfsc":
        return { ...tree, classes: fill(tree.classes) };
      case "prio":
        return { ...tree, classes: fill(tree.classes) };
    }
  }
  function fillTree(tree: ShapingTree, path: string): ShapingTree {
    if (tree.kind !== "single") return fillClasses(tree, path);
    return { ...tree, qdisc: fillQdisc(tree.qdisc, { line: tree.line, column: tree.column, path }) };
  }

  return {
    ...document,
    sets: document.sets.map((set) => ({
      ...set,
      options: fillWords(set.options, { line: set.line, column: set.column, path: `sets.${set.name}` }),
      entries: set.entries.map(({ text, line, column }, index) => ({
        text: fill(text, { line, column, path: `sets.${set.name}.entries[${index}]` }),
        line,
        column,
      })),
    })),
    firewall: {
      ...document.firewall,
      chains: document.firewall.chains.map((chain) => ({
        ...chain,
        rules: chain.rules.map((rule, index) =>
          fillRule(rule, `firewall.${chain.table}.${chain.name}[${index}]`),
        ),
      })),
    },
    guards: document.guards.map((guard) => ({
      ...guard,
      ports: fillWords(guard.ports, {
        line: guard.line,
        column: guard.column,
        path: `guards.${guard.name}.port`,
      }),
    })),
    shaping: document.shaping.map((shaping) => {
      const path = `shaping.${shaping.device}`;
      return {
        ...shaping,
        device: fill(shaping.device, { line: shaping.line, column: shaping.column, path }),
        egress: shaping.egress && fillTree(shaping.egress, path),
        ingress: shaping.ingress && fillTree(shaping.ingress, `${path}.ingress`),
      };
    }),
    probes: document.probes.map(({ tcp, line, column }, index) => ({
      tcp: fill(tcp, { line, column, path: `probes[${index}]` }),
      line,
      column,
    })),
    takeover: document.takeover.map((claim, index) =>
      claim.what === "qdisc"
        ? {
            ...claim,
            device: fill(claim.device, {
              line: claim.line,
              column: claim.column,
              path: `takeover[${index}]`,
            }),
          }
        : claim,
    ),
    protect: document.protect.map(({ text, line, column }, index) => ({
      text: fill(text, { line, column, path: `protect[${index}]` }),
      line,
      column,
    })),
    tests: document.tests.map((test, index) => {
      const at = { line: test.line, column: test.column, path: `tests[${index}]` };
      const { from, via, out } = test;
      return {
        ...test,
        ...(from !== undefined && { from: fill(from, at) }),
        to: fill(test.to, at),
        ...(via !== undefined && { via: fill(via, at) }),
        ...(out !== undefined && { out: fill(out, at) }),
      };
    }),
  };
}
