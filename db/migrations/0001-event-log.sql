-- The event log. Words and promises: db/log/append.ts.

create table head (
  one boolean primary key default true check (one),
  seq bigint not null,
  hash bytea not null check (octet_length(hash) = 32)
) with (fillfactor = 10); -- one row, rewritten by every batch: room on its page keeps the update in place

insert into head (seq, hash) values (0, decode(repeat('00', 32), 'hex'));

create table events (
  seq bigint primary key,
  stream text not null,
  stream_version bigint not null,
  id uuid not null unique,
  type text not null,
  schema_version integer not null,
  body text not null,
  prev_hash bytea not null,
  hash bytea not null,
  -- what follows is taken from the body, for queries only
  at timestamptz not null,
  correlation text not null,
  policy text,
  server text,
  list text,
  rollout text,
  unique (stream, stream_version)
);

create index events_policy on events (policy, seq) where policy is not null;
create index events_server on events (server, seq) where server is not null;
create index events_list on events (list, seq) where list is not null;
create index events_rollout on events (rollout, seq) where rollout is not null;
create index events_type on events (type, seq);
create index events_correlation on events (correlation);
create index events_at on events using brin (at);

-- What people may ask to have erased. The body holds sha256(salt ‖ value), so a row may go and the chain stays whole.
create table personal (
  event_id uuid not null references events (id),
  field text not null check (field in ('actor', 'reason')),
  salt bytea not null,
  value text not null,
  primary key (event_id, field)
);

create index personal_actor on personal (value) where field = 'actor';

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'the event log is never changed: % on % is refused', tg_op, tg_table_name
    using errcode = 'restrict_violation';
end
$$;

create trigger events_stay before update or delete or truncate on events
  for each statement execute function refuse_change();

-- Appends a batch of commands. Command n appends counts[n] events to streams[n], which must be at expected[n];
-- its events are the next ones of `bodies`, and of the four arrays beside it (salts in hex).
-- Answers a row per command:
--   stored    seqs are its events', version is the stream's new version
--   repeated  its events stood here already (the same ids): their seqs; nothing is written
--   conflict  the stream is at `version`, not at the expected one; nothing is written
--   reused    some of its event ids belong to something else; nothing is written
-- One command's verdict never touches its neighbours'. The head row is locked last: all that depends on the
-- commands alone (parsing, digests) is done before, and nothing waits on the client while it is held.
-- Events that may stand here already are looked up by their id alone: with stream and type in the same condition, the
-- planner of an empty table took the index of types, and a connection kept that plan (2 s a batch at 40,000 events).
-- `limit 1` keeps the lookup a lookup: without it, it may become a join that reads the whole table.
create function append_batch(
  streams text[], expected bigint[], counts integer[],
  bodies text[], actors text[], actor_salts text[], reasons text[], reason_salts text[])
returns table (command integer, verdict text, version bigint, seqs bigint[])
language plpgsql
set search_path from current
set lock_timeout = '5s'
set enable_seqscan = off -- a plan cached while the table was small must not stay
as $$
declare
  e_digest bytea[]; e_id uuid[]; e_stream text[]; e_type text[]; e_schema_version integer[];
  e_at timestamptz[]; e_correlation text[]; e_policy text[]; e_server text[]; e_list text[]; e_rollout text[];
  distinct_streams text[]; versions bigint[];
  known_seq bigint[]; known_same boolean[];
  e_seq bigint[]; e_version bigint[]; e_prev bytea[]; e_hash bytea[];
  head_seq bigint; head_hash bytea; old_seq bigint;
  first_event integer := 1; last_event integer; place integer; known integer;
begin
  select array_agg(sha256(convert_to(e.body, 'UTF8')) order by e.i),
         array_agg(b.id order by e.i),
         array_agg(b.stream order by e.i),
         array_agg(b.type order by e.i),
         array_agg(b."schemaVersion" order by e.i),
         array_agg(m.at order by e.i),
         array_agg(m.correlation order by e.i),
         array_agg(k.policy order by e.i),
         array_agg(k.server order by e.i),
         array_agg(k.list order by e.i),
         array_agg(k.rollout order by e.i)
    into e_digest, e_id, e_stream, e_type, e_schema_version,
         e_at, e_correlation, e_policy, e_server, e_list, e_rollout
    from unnest(bodies) with ordinality as e(body, i)
   cross join lateral json_to_record(e.body::json)
              as b(id uuid, stream text, type text, "schemaVersion" integer, meta json, keys json)
   cross join lateral json_to_record(b.meta) as m(at timestamptz, correlation text)
   cross join lateral json_to_record(b.keys) as k(policy text, server text, list text, rollout text);

  e_seq := array_fill(null::bigint, array[cardinality(bodies)]);
  e_version := e_seq;
  e_prev := array_fill(null::bytea, array[cardinality(bodies)]);
  e_hash := e_prev;

  select h.seq, h.hash into strict head_seq, head_hash from head as h for update;
  old_seq := head_seq;

  select array_agg(s.stream),
         array_agg(coalesce((select max(e.stream_version) from events as e where e.stream = s.stream), 0))
    into distinct_streams, versions
    from (select distinct c.stream from unnest(streams) as c(stream)) as s;

  select array_agg(k.seq order by u.i),
         array_agg(coalesce(k.stream = u.stream and k.type = u.type, false) order by u.i)
    into known_seq, known_same
    from unnest(e_id, e_stream, e_type) with ordinality as u(id, stream, type, i)
    left join lateral (select e.seq, e.stream, e.type from events as e where e.id = u.id limit 1) as k on true;

  for n in 1 .. cardinality(streams) loop
    last_event := first_event + counts[n] - 1;
    place := array_position(distinct_streams, streams[n]);
    command := n;
    version := versions[place];
    seqs := null;
    known := 0;
    for i in first_event .. last_event loop
      if known_seq[i] is not null then
        known := known + case when known_same[i] then 1 else counts[n] + 1 end;
      end if;
    end loop;

    if known = counts[n] then
      verdict := 'repeated';
      version := expected[n] + counts[n];
      seqs := known_seq[first_event:last_event];
    elsif known > 0 then
      verdict := 'reused';
    elsif version <> expected[n] then
      verdict := 'conflict';
    else
      verdict := 'stored';
      for i in first_event .. last_event loop
        head_seq := head_seq + 1;
        version := version + 1;
        e_seq[i] := head_seq;
        e_version[i] := version;
        e_prev[i] := head_hash;
        head_hash := sha256(head_hash || int8send(head_seq) || e_digest[i]);
        e_hash[i] := head_hash;
      end loop;
      versions[place] := version;
      seqs := e_seq[first_event:last_event];
    end if;
    return next;
    first_event := last_event + 1;
  end loop;

  if head_seq = old_seq then
    return;
  end if;

  insert into events (seq, stream, stream_version, id, type, schema_version, body, prev_hash, hash,
                      at, correlation, policy, server, list, rollout)
  select *
    from unnest(e_seq, e_stream, e_version, e_id, e_type, e_schema_version, bodies, e_prev, e_hash,
                e_at, e_correlation, e_policy, e_server, e_list, e_rollout)
         as w(seq, stream, stream_version, id, type, schema_version, body, prev_hash, hash,
              at, correlation, policy, server, list, rollout)
   where w.seq is not null;

  insert into personal (event_id, field, salt, value)
  select w.id, p.field, decode(p.salt, 'hex'), p.value
    from unnest(e_id, e_seq, actors, actor_salts, reasons, reason_salts)
         as w(id, seq, actor, actor_salt, reason, reason_salt)
   cross join lateral (values ('actor', w.actor_salt, w.actor), ('reason', w.reason_salt, w.reason))
              as p(field, salt, value)
   where w.seq is not null;

  update head set seq = head_seq, hash = head_hash;
  perform pg_notify('sluice_events', current_schema() || ':' || head_seq);
end
$$;
