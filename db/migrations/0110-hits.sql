-- What rules matched, on each server: sums, told again and again. No events.

create table rule_hits (
  policy text not null,
  revision integer not null,
  server text not null,
  path text not null,
  observed boolean not null,
  packets bigint not null,
  bytes bigint not null,
  since timestamptz not null,
  at timestamptz not null,
  -- the agent's own sums, as they were told last
  counter text not null,
  told_packets bigint not null,
  told_bytes bigint not null,
  primary key (policy, revision, server, path, observed)
);
