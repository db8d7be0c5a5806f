-- What the history is searched by: made of the log by a follower (db/history), so that the log itself needs no index
-- but those that appends need.

-- Events stand in blocks of 1,024 by seq. A term's row says in which places of its block it stands: two bytes each.
create table history_terms (
  term text collate "C" not null,
  block integer not null,
  places bytea not null,
  primary key (term, block)
);
create index history_terms_block on history_terms using brin (block);

-- The times of a block's events: clocks of several processes don't agree, so a block may begin before the one
-- before it ends.
create table history_blocks (
  block integer primary key,
  first_at timestamptz not null,
  last_at timestamptz not null
);

drop index if exists events_policy, events_server, events_list, events_rollout, events_type, events_correlation,
  events_at, personal_actor;
