/**
 * Which revision each line of a policy came with, as `git blame` tells it of a file, but by what a policy's lines mean.
 *
 * 1. A line is what it says and what it stands under (`firewall / filter / INPUT`). In another place among its neighbours
 *    it is the same line; under another chain it is a new one, since it then does something else.
 * 2. A chain that got a new name is the same chain: one that went and one that came, under the same parent, of which most
 *    lines are the same. So are the rules that jump to it.
 * 3. How a line is quoted and spaced doesn't count.
 */
export interface RevisionText {
  revision: number;
  text: string;
}

export interface BlamedLine extends PolicyLine {
  /** since which revision it has been there without a break */
  since: number;
}

export interface PolicyLine {
  /** counted from 1 */
  line: number;
  /** as it is written */
  text: string;
  /** what it stands under, outermost first */
  path: readonly string[];
  /** what it says */
  says: string;
  /** both, as one text */
  place: string;
}

/** Of the last revision; they are given oldest first. */
export function blameLines(revisions: readonly RevisionText[]): BlamedLine[] {
  const known = new Map<string, WrittenLine>();
  /** revisions have most of their lines in common */
  function read(whole: string): WrittenLine {
    const line = known.get(whole) ?? readLine(whole);
    known.set(whole, line);
    return line;
  }
  let blamed: BlamedLine[] = [];
  for (const { revision, text } of revisions) blamed = blameNext(blamed, policyLines(text, read), revision);
  return blamed;
}

export function policyLines(text: string, read = readLine): PolicyLine[] {
  const above: { indent: number; key: string }[] = [];
  let path: readonly string[] = [];
  let under = "";
  return text
    .trimEnd()
    .split("\n")
    .map((whole, index) => {
      const { indent, isItem, isBlank, says, key } = read(whole);
      const deep = above.length;
      while (!isBlank && (above.at(-1)?.indent ?? -1) >= (isItem ? indent + 1 : indent)) above.pop();
      if (above.length < deep || path.length < above.length) {
        path = above.map((one) => one.key);
        under = joined(path);
      }
      if (key !== undefined) above.push({ indent, key });
      return { line: index + 1, text: whole, path, says, place: placeOf(under, says) };
    });
}

interface WrittenLine {
  indent: number;
  isItem: boolean;
  isBlank: boolean;
  says: string;
  /** where it opens something */
  key: string | undefined;
}

function readLine(whole: string): WrittenLine {
  const bare = whole.trimStart();
  const says = sayingOf(whole);
  const [, key] = /^([^\s:]+):$/.exec(says) ?? [];
  return {
    indent: whole.length - bare.length,
    isItem: bare.startsWith("- "),
    isBlank: bare === "",
    says,
    key,
  };
}

function sayingOf(whole: string): string {
  const bare = whole.trim().replace(/^- /, "").trim();
  const [, , quoted] = /^(["'])(.*)\1$/.exec(bare) ?? [];
  return (quoted ?? bare).replace(/\s+/g, " ");
}

function blameNext(
  before: readonly BlamedLine[],
  lines: readonly PolicyLine[],
  revision: number,
): BlamedLine[] {
  const left = Map.groupBy(before, ({ place }) => place);
  function take(place: string): number | undefined {
    return left.get(place)?.shift()?.since;
  }
  const found = lines.map((line) => ({ ...line, since: take(line.place) }));
  const rest = found.filter(({ since }) => since === undefined);
  if (rest.length > 0 && [...left.values()].some(({ length }) => length > 0)) {
    const renamed = renamedPaths(before, lines);
    const oldWords = new Map([...renamed].map(([now, then]) => [lastOf(now), lastOf(then)]));
    for (const line of rest) {
      const says = line.says
        .split(" ")
        .map((word) => oldWords.get(word) ?? word)
        .join(" ");
      line.since = take(placeOf(joined(pathBefore(renamed, line.path)), says));
    }
  }
  return found.map((line) => ({ ...line, since: line.since ?? revision }));
}

function placeOf(under: string, says: string): string {
  return `${under}\n${says}`;
}

function joined(path: readonly string[]): string {
  return path.join("\n");
}

function lastOf(path: string): string {
  return path.slice(path.lastIndexOf("\n") + 1);
}

/** Paths that came → the paths that went for them. */
function renamedPaths(before: readonly PolicyLine[], lines: readonly PolicyLine[]): Map<string, string> {
  const then = Map.groupBy(before, ({ path }) => joined(path));
  const now = Map.groupBy(lines, ({ path }) => joined(path));
  const gone = [...then.keys()].filter((path) => !now.has(path));
  const renamed = new Map<string, string>();
  for (const [path, its] of now) {
    if (then.has(path)) continue;
    const parent = path.slice(0, Math.max(0, path.lastIndexOf("\n")));
    const old = gone.find((other) => {
      if (other.slice(0, Math.max(0, other.lastIndexOf("\n"))) !== parent) return false;
      const said = new Set(then.get(other)?.map(({ says }) => says));
      const same = its.filter(({ says }) => said.has(says)).length;
      return same * 2 > Math.max(its.length, said.size);
    });
    if (old !== undefined) renamed.set(path, old);
  }
  return renamed;
}

function pathBefore(renamed: ReadonlyMap<string, string>, path: readonly string[]): readonly string[] {
  for (let length = path.length; length > 0; length -= 1) {
    const old = renamed.get(joined(path.slice(0, length)));
    if (old !== undefined) return [...old.split("\n"), ...path.slice(length)];
  }
  return path;
}
