import { expect, test } from "vitest";
import { askableWords } from "./askable-words.ts";

const asked = (kind: string, said: string) => askableWords(kind, said.split(" ")).join(" ");

test("a burst is asked for in the size that makes the same time, not in the one that tc rounds down to", () => {
  const said =
    "rate 1224Kbit ceil 100Mbit linklayer ethernet burst 1599b/1 mpu 0b cburst 1599b/1 mpu 0b buffer [00027e3e] cbuffer [000007d0]";
  expect(asked("htb", said)).toBe("rate 1224Kbit ceil 100Mbit burst 1600b cburst 1600b");
});

test("what a line adds is asked for once, not for each of the two rates", () => {
  const said =
    "rate 97Mbit overhead 38 ceil 100Mbit linklayer atm burst 1589b/1 mpu 64b cburst 1600b/1 mpu 64b buffer [000007ff] cbuffer [000007d0]";
  expect(asked("htb", said)).toMatch(
    /^rate 97Mbit overhead 38 ceil 100Mbit linklayer atm burst \d+b mpu 64 cburst 1600b$/,
  );
});

test("a tbf is asked for by its limit, of which its latency comes", () => {
  const said = "rate 1Mbit burst 10Kb/1 mpu 0b [00138800] lat 50ms limit 16490b linklayer ethernet";
  expect(asked("tbf", said)).toBe("rate 1Mbit burst 10240b limit 16490b");
});

test("a filter is asked for by its matches", () => {
  expect(asked("u32", "key bkt 0 flowid 1:10 match 00500000/ffff0000 at nexthdr+0")).toBe(
    "flowid 1:10 match u32 0x00500000 0xffff0000 at nexthdr+0",
  );
  expect(asked("flower", "classid 1:10 eth_type ipv4 ip_proto tcp dst_port 80")).toBe(
    "classid 1:10 ip_proto tcp dst_port 80",
  );
});

test("a number is asked for without the unit that tc shows behind it", () => {
  expect(asked("sfq", "limit 127p quantum 1514b depth 127 flows 128 perturb 10sec")).toBe(
    "limit 127 quantum 1514 depth 127 perturb 10",
  );
  expect(asked("sfq", "limit 50p quantum 1514b flows 20")).toBe("limit 50 quantum 1514 flows 20");
  expect(asked("fq", "limit 10000p flow_limit 100p quantum 3028b initial_quantum 15140b")).toBe(
    "limit 10000 flow_limit 100 quantum 3028 initial_quantum 15140",
  );
});
