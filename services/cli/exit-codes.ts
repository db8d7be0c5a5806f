/** What the shell gets: see `sluice --help`. */
export const EXIT = {
  done: 0,
  /** something broke: control away, a fault inside; or the audit log isn't as it was written */
  fault: 1,
  /** what was asked can't be done; the reason is on stderr and in the JSON */
  refused: 2,
  /** a rollout halted, a server's kernel differs, or a policy's test doesn't hold */
  halted: 3,
  /** Ctrl-C while watching; what was watched goes on */
  interrupted: 130,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
