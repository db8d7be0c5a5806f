/** `limit 50 ecn` → `limit: '50'`, `ecn: true`; undefined where a name stands twice or a value without one. */
export function fieldsOf(args: readonly string[]): string[] | undefined {
  const options = optionsOf(args);
  return (
    options &&
    Object.entries(options).map(([name, value]) => {
      const words = value.split(" ").filter((word) => word !== "");
      if (words.length === 0) return `${name}: true`;
      const [only] = words;
      return words.length === 1 ? `${name}: '${only}'` : `${name}: [${words.map(quoted).join(", ")}]`;
    })
  );
}

/** Each name with its words. */
export function optionsOf(args: readonly string[]): Record<string, string> | undefined {
  const options: Record<string, string> = {};
  let name: string | undefined;
  for (const word of args) {
    if (/^[a-z][a-z0-9_-]*$/.test(word)) {
      if (Object.hasOwn(options, word)) return undefined;
      name = word;
      options[name] = "";
    } else if (name === undefined || /['\\\s]/.test(word)) return undefined;
    else options[name] = `${options[name]} ${word}`.trim();
  }
  return options;
}

export function quoted(text: string): string {
  return `'${text.replace(/'/g, "''")}'`;
}

/** `1:10` → 0x10, `8001:` → 0x8001 */
export function minorOf(classid: string): number {
  return Number.parseInt(classid.slice(classid.indexOf(":") + 1), 16);
}

export function majorOf(handle: string): number {
  return Number.parseInt(handle, 16);
}
