/**
 * The kernel keeps a burst as the time that it takes at its rate, in ticks of 64 ns; tc prints the size that comes of it by
 * rounding down (`1599b` for 1600), which asked for would be a shorter time.
 */
const TICKS_PER_US = 15.625;

/** The smallest size in bytes that tc makes this number of ticks of: older ones count whole microseconds. */
export function sizeOfTicks(bitPerSec: number, ticks: number): number {
  const bytesPerUs = bitPerSec / 8 / 1e6;
  const wholeUs = Math.ceil(ticks / TICKS_PER_US);
  const isWhole = Math.floor(wholeUs * TICKS_PER_US) === ticks;
  return isWhole ? Math.ceil(wholeUs * bytesPerUs) : Math.floor((ticks / TICKS_PER_US) * bytesPerUs);
}
