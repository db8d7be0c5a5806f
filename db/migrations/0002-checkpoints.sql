-- How far each reader of the log has come: a projection moves its own in the transaction that writes its rows.

create table checkpoints (
  name text primary key,
  position bigint not null default 0,
  moved_at timestamptz not null default now()
);
