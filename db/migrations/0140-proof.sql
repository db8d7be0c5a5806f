-- What proves the log beside its chain. Words and promises: db/log/tree.ts, proto/wire/checkpoint.ts.

-- The Merkle tree over the events' hashes. Tile n of level l has up to 256 hashes of 32 bytes, of the subtrees of 256^l
-- leaves from number 256·n on; how far the tree has come is the checkpoint `tree`.
create table merkle_tiles (
  level smallint not null,
  tile bigint not null,
  hashes bytea not null check (octet_length(hashes) between 32 and 8192),
  primary key (level, tile)
);
alter table merkle_tiles alter hashes set storage external; -- hashes don't compress

-- What control signed of the log, and published.
create table signed_checkpoints (
  epoch integer not null,
  seq bigint not null,
  kid text not null,
  body text not null,
  sig text not null,
  primary key (epoch, seq)
);
create index signed_checkpoints_seq on signed_checkpoints (seq);

create function refuse_other_checkpoint() returns trigger language plpgsql as $$
begin
  raise exception 'a signed checkpoint is never changed: % is refused', tg_op
    using errcode = 'restrict_violation';
end
$$;

create trigger signed_checkpoints_stay before update or delete or truncate on signed_checkpoints
  for each statement execute function refuse_other_checkpoint();

-- The newest checkpoint that each server has seen, in its own signed words.
create table witnesses (
  server text primary key,
  epoch integer not null,
  seq bigint not null,
  kid text not null,
  body text not null,
  sig text not null,
  at timestamptz not null
);
