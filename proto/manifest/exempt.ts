/**
 * The rules of others that a claim on a built-in chain leaves where they are: those that name a chain, a set or a device of
 * another tool. Names, not texts: a text is spelled otherwise by the next kernel, and a tool's next rule has another one.
 */
export function isExempt(rule: string, except: readonly string[] = []): boolean {
  const names = except.length === 0 ? [] : namesIn(rule);
  return except.some((pattern) => names.some((name) => fitsName(pattern, name)));
}

/** The chains, sets and devices that a rule names. */
function namesIn(rule: string): string[] {
  const named = rule.matchAll(/(?:^| )(?:-[jgio]|--(?:match|add|del|map)-set) (\S+)/g);
  return [...named].map(([, name = ""]) => name);
}

/** `*` stands for any text, `?` for any sign. */
export function fitsName(pattern: string, name: string): boolean {
  const signs = [...pattern].map((sign) => {
    if (sign === "*") return ".*";
    return sign === "?" ? "." : sign.replace(/\W/, "\\$&");
  });
  return new RegExp(`^${signs.join("")}$`).test(name);
}
