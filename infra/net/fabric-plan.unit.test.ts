import fc from "fast-check";
import { expect, test } from "vitest";
import { planFabric } from "./fabric-plan.ts";

test("names and addresses say which server it is", () => {
  const { hosts } = planFabric({ prefix: "", servers: 2, others: ["client"] });
  expect(hosts.map(({ namespace, ipv4, ipv6 }) => [namespace, ipv4, ipv6])).toEqual([
    ["server-1", "10.77.0.11", "fd77::11"],
    ["server-2", "10.77.0.12", "fd77::12"],
    ["client", "10.77.0.100", "fd77::100"],
  ]);
});

test("no two hosts share an address, a namespace or a device of the switch, and device names fit the kernel", () => {
  const names = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,5}$/), { maxLength: 20 });
  fc.assert(
    fc.property(fc.nat(80), names, (servers, others) => {
      const { hosts } = planFabric({
        prefix: "p-",
        servers,
        others: ["control", "client", "attacker", ...others],
      });
      for (const key of ["namespace", "port", "ipv4", "ipv6"] as const) {
        expect(new Set(hosts.map((host) => host[key])).size).toBe(hosts.length);
      }
      expect(hosts.every((host) => host.port.length <= 15)).toBe(true);
    }),
  );
});

test("more servers than there are addresses for are refused", () => {
  expect(() => planFabric({ prefix: "", servers: 81, others: [] })).toThrow("at most 80 servers");
});
