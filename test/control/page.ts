/** The shell commands that stand under a heading of a page, as one script. */
export function shellUnder(page: string, heading: string): string {
  const [section = ""] = page.slice(page.indexOf(`${heading}\n`) + heading.length).split(/^##+ /m);
  return [...section.matchAll(/```sh\n(.*?)```/gs)].map(([, block]) => block).join("\n");
}
