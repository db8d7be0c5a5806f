-- The tables of control: what is read, made of events alone (db/projections), and below what is no event.

create table policies (
  policy text primary key,
  revision integer not null,
  digest text not null,
  retired boolean not null,
  at timestamptz not null,
  actor text not null,
  reason text not null
);

create table policy_revisions (
  policy text not null,
  revision integer not null,
  digest text not null,
  text text not null,
  at timestamptz not null,
  actor text not null,
  reason text not null,
  primary key (policy, revision)
);

create table servers (
  server text primary key,
  labels jsonb not null,
  token_hash text not null unique,
  public_key text,
  added_at timestamptz not null,
  enrolled_at timestamptz,
  paused_until timestamptz
);

-- Every generation a server was ever to hold, and what came of it.
create table assignments (
  server text not null,
  generation integer not null,
  epoch integer not null,
  assigned jsonb not null,
  manifest text not null,
  cause text not null,
  rollout text,
  at timestamptz not null,
  actor text not null,
  reason text not null,
  outcome text check (outcome in ('confirmed', 'refused', 'reverted')),
  outcome_at timestamptz,
  refusal jsonb,
  stats jsonb,
  primary key (server, generation)
);
create index assignments_rollout on assignments (rollout) where rollout is not null;
create index assignments_at on assignments (server, at);

create table plans (
  plan text primary key,
  policy text not null,
  revision integer,
  servers jsonb not null,
  state text not null check (state in ('running', 'ok', 'refused')),
  expires_at timestamptz not null,
  at timestamptz not null,
  actor text not null,
  reason text not null
);
create index plans_running on plans (plan) where state = 'running';

create table plan_answers (
  plan text not null,
  server text not null,
  result text not null check (result in ('ok', 'refused', 'silent')),
  manifest text,
  refusal jsonb,
  differences jsonb not null,
  warnings jsonb not null,
  primary key (plan, server)
);

create table rollouts (
  rollout text primary key,
  kind text not null check (kind in ('rollout', 'rollback')),
  policy text not null,
  revision integer not null,
  waves jsonb not null,
  before jsonb not null,
  state text not null check (state in ('running', 'completed', 'halted')),
  wave integer not null,
  halted_because text not null,
  halted_by text,
  at timestamptz not null,
  actor text not null,
  reason text not null,
  ended_at timestamptz
);
create index rollouts_running on rollouts (rollout) where state = 'running';
create index rollouts_policy on rollouts (policy, at);

create table drift (
  seq bigint primary key,
  server text not null,
  at timestamptz not null,
  generation integer not null,
  differences jsonb not null,
  culprit jsonb,
  action text not null check (action in ('repaired', 'reported', 'failed')),
  reason text,
  detected_ms double precision,
  repaired_ms double precision,
  current boolean not null
);
create index drift_server on drift (server, seq);
create index drift_current on drift (server) where current;

create table lists (
  list text primary key,
  families jsonb not null,
  description text not null,
  rev integer not null,
  digest text not null,
  entries integer not null,
  -- of the list's stream: what is here is the stream's content up to it
  version integer not null,
  retired boolean not null,
  at timestamptz not null,
  actor text not null,
  reason text not null
);

create table list_entries (
  list text not null,
  entry text collate "C" not null,
  until timestamptz,
  primary key (list, entry)
);
create index list_entries_until on list_entries (until) where until is not null;

create table list_revisions (
  list text not null,
  rev integer not null,
  digest text not null,
  entries integer not null,
  at timestamptz not null,
  primary key (list, rev)
);

create table fleet (
  one boolean primary key default true check (one),
  frozen boolean not null,
  at timestamptz not null,
  actor text not null,
  reason text not null
);

-- What is no event: contents by their digest, what servers say of themselves, and who may come in.

create table manifests (
  digest text primary key,
  text text not null
);

create table facts (
  digest text primary key,
  facts jsonb not null
);

create table server_facts (
  server text primary key,
  digest text not null references facts (digest),
  at timestamptz not null
);

create table server_pulses (
  server text primary key,
  pulse jsonb not null,
  at timestamptz not null
);

-- The same drift reported again within seconds is one event: here is how often it came.
create table drift_repeats (
  seq bigint primary key,
  count integer not null
);

create table tokens (
  name text primary key,
  hash text not null unique,
  role text not null check (role in ('viewer', 'operator', 'admin')),
  created_at timestamptz not null
);

-- A new epoch is opened by restoring the database from a backup: generations start to count anew under it.
create table epochs (
  epoch integer primary key,
  opened_at timestamptz not null
);
