// Exits 0 if node_modules holds what package-lock.json names: npm's own record of what it installed says the same.
// Plain JavaScript for the machine's own Node, before ours is there.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";

function readPackages(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8")).packages;
  } catch {
    return undefined;
  }
}

const root = process.argv[2];
const wanted = readPackages(join(root, "package-lock.json"));
const installed = readPackages(join(root, "node_modules", ".package-lock.json"));
const isInstalled =
  wanted !== undefined &&
  installed !== undefined &&
  Object.entries(wanted).every(([path, entry]) => {
    if (!path.startsWith("node_modules/") || entry.link) return true;
    const found = installed[path];
    return found ? found.integrity === entry.integrity : entry.optional === true || entry.peer === true;
  });
process.exit(isInstalled ? 0 : 1);
