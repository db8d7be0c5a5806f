-- append_batch as before, but events that may stand here already are looked up by their id alone.
--
-- With stream and type in the same condition, the planner of an empty table took the index of types, and a connection
-- kept that plan: each append then read every event of its type (2 s a batch at 40,000 events). `limit 1` keeps the
-- lookup a lookup: without it, it may become a join that reads the whole table.

create or replace function append_batch(
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
