import { fileURLToPath } from "node:url";

/** The path of one of the lab's policies, as a person in the checkout would type it where that is shorter. */
export function policyFile(name: string): string {
  const path = fileURLToPath(new URL(`../lab/policies/${name}.yaml`, import.meta.url));
  const here = `${process.cwd()}/`;
  return path.startsWith(here) ? path.slice(here.length) : path;
}
