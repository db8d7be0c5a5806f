/**
 * `$name` and `${name}` stand for a variable, `$$` for a dollar sign; any other `$` is itself. Names hold dashes, so
 * before a dash that isn't the name's, write `${from}-${to}`.
 */
export const VARIABLE = /\$(?:\$|\{([^{}$]*)\}|([A-Za-z_][A-Za-z0-9_-]*))/g;

export const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_-]*$/;

/** The variables that a text names, in order, with where each begins. */
export function variablesIn(text: string): { name: string; at: number }[] {
  return [...text.matchAll(VARIABLE)].flatMap((match) => {
    const name = match[1] ?? match[2];
    return name === undefined ? [] : [{ name, at: match.index }];
  });
}

/** Whether the text is known only once its variables are. */
export function hasVariable(text: string): boolean {
  return variablesIn(text).length > 0;
}
