-- What of the log lies in archives and may be dropped here. Words and promises: db/log/archived.ts.

create table archived (
  one boolean primary key default true check (one),
  -- the newest LogArchived, and what it says
  event_seq bigint not null,
  up_to bigint not null,
  -- events up to there that stay
  kept bigint[] not null,
  -- up to there the others are gone
  dropped_to bigint not null
);

-- The bound follows from an event, which the chain covers; only how far dropping has come moves by itself.
create function refuse_other_archive() returns trigger language plpgsql as $$
declare
  told json;
begin
  if tg_op = 'UPDATE' and new.event_seq = old.event_seq then
    if new.up_to = old.up_to and new.kept = old.kept and new.dropped_to between old.dropped_to and new.up_to then
      return new;
    end if;
  elsif tg_op in ('INSERT', 'UPDATE') then
    select e.body::json -> 'data' into told from events as e where e.seq = new.event_seq and e.type = 'LogArchived';
    if (told ->> 'to')::bigint = new.up_to
      and told ->> 'keptDigest' = encode(sha256(convert_to(array_to_string(new.kept, ','), 'UTF8')), 'hex')
      and new.dropped_to = 0
      and (tg_op = 'INSERT' or new.up_to > old.up_to)
    then
      return new;
    end if;
  end if;
  raise exception 'what is archived is told by an event of the log: % is refused', tg_op
    using errcode = 'restrict_violation';
end
$$;

create trigger archived_is_told before insert or update on archived
  for each row execute function refuse_other_archive();
create trigger archived_stays before delete or truncate on archived
  for each statement execute function refuse_other_archive();

-- An event may go that is archived and isn't to stay; nothing else about it ever changes.
create function refuse_drop() returns trigger language plpgsql
set enable_nestloop = off
as $$
begin
  if exists (select from gone as g where not exists (select from archived as a where g.seq <= a.up_to))
    or exists (select from gone as g join (select unnest(a.kept) as seq from archived as a) as k on k.seq = g.seq)
  then
    raise exception 'the event log is never changed: % on % is refused', tg_op, tg_table_name
      using errcode = 'restrict_violation';
  end if;
  return null;
end
$$;

drop trigger events_stay on events;
create trigger events_stay before update or truncate on events
  for each statement execute function refuse_change();
create trigger events_go_archived after delete on events
  referencing old table as gone for each statement execute function refuse_drop();

-- Drops the next events, and what is personal of them; the service has no other right to take an event out. Answers which
-- were looked at and how many went; nulls where there is nothing to drop, or another one is at it.
create function drop_archived(most bigint, out first bigint, out last bigint, out dropped bigint)
language plpgsql security definer
set enable_nestloop = off
as $$
declare
  its archived;
  stay bigint[];
begin
  select * into its from archived as a where a.dropped_to < a.up_to for update skip locked;
  if not found then
    return;
  end if;
  first := its.dropped_to + 1;
  last := least(its.dropped_to + most, its.up_to);
  stay := array(select k.seq from unnest(its.kept) as k(seq) where k.seq between first and last);
  delete from personal as p
   where p.seq between first and last and not exists (select from unnest(stay) as k(seq) where k.seq = p.seq);
  delete from events as e
   where e.seq between first and last and not exists (select from unnest(stay) as k(seq) where k.seq = e.seq);
  get diagnostics dropped = row_count;
  update archived set dropped_to = last;
end
$$;

-- A temporary table of the caller's must not pass for one of ours.
do $$
declare
  name text;
begin
  foreach name in array array['refuse_other_archive()', 'refuse_drop()', 'drop_archived(bigint)'] loop
    execute format('alter function %s set search_path = %I, pg_temp', name, current_schema());
  end loop;
end
$$;
