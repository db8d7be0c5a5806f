import { randomBytes } from "node:crypto";

const SALT_BYTES = 16;
const DRAWN_BYTES = 4096;

/** Salts of 16 random bytes. Many are drawn at once: asking for 16 bytes costs as much as asking for 4,096. */
export function saltSource(): () => Buffer {
  let drawn = Buffer.alloc(0);
  return () => {
    if (drawn.length === 0) drawn = randomBytes(DRAWN_BYTES);
    const salt = drawn.subarray(0, SALT_BYTES);
    drawn = drawn.subarray(SALT_BYTES);
    return salt;
  };
}
