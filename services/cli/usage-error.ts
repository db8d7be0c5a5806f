/** What commander found wrong, as one line in our own form: the place, what was found, what was expected. */
export function usageMessage(text: string): string {
  const [, message = text] = /^error: ([\s\S]*)$/.exec(text.trim()) ?? [];
  const [, option, given, wanted] =
    /^option '(.*?)' argument '(.*)' is invalid\. ([\s\S]*)$/.exec(message) ?? [];
  if (option && wanted) return `${option}: expected ${expected(wanted)}, found '${given}'`;
  const [, value, argument, needed] =
    /^command-argument value '(.*)' is invalid for argument '(.*)'\. ([\s\S]*)$/.exec(message) ?? [];
  if (argument && needed) return `<${argument}>: expected ${expected(needed)}, found '${value}'`;
  return message.replace(/\n\(Did you mean (.*)\?\)/, "; did you mean $1?").replaceAll("\n", " ");
}

function expected(wanted: string): string {
  return wanted.replace(/^Allowed choices are (.*)\.$/, "one of $1");
}
