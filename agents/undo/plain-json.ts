/** JSON of a value without origins: a policy that only moved its lines changes nothing in the kernel. */
export function plainJson(value: unknown): string {
  return JSON.stringify(value, (key, inner: unknown) => (key === "origin" ? undefined : inner)) ?? "";
}

export function same(a: unknown, b: unknown): boolean {
  return plainJson(a) === plainJson(b);
}
