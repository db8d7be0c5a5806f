/** How often an agent does what nobody asks it for. */
export interface Intervals {
  pulseMs: number;
  pollMs: number;
  fullCheckMs: number;
  /** between two counts of what rules matched, at least */
  hitsMs: number;
  /** repairs of one object within the window before another tool is left its way */
  contentionLimit: number;
  contentionWindowMs: number;
}

export const DEFAULT_INTERVALS: Intervals = {
  pulseMs: 5_000,
  pollMs: 5_000,
  fullCheckMs: 60_000,
  hitsMs: 60_000,
  contentionLimit: 5,
  contentionWindowMs: 60_000,
};
