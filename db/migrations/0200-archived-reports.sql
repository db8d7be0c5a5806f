-- What servers say may come again after its event was dropped: a broker that is restored has it all once more. So the ids
-- stay of those that are decided upon without looking at what came before (db/log/archived.ts); those of the others that go
-- speak of generations and plans that are over.
create table archived_reports (id uuid primary key);

create or replace function drop_archived(most bigint, out first bigint, out last bigint, out dropped bigint)
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
  with gone as (
    delete from events as e
     where e.seq between first and last and not exists (select from unnest(stay) as k(seq) where k.seq = e.seq)
    returning e.id, e.type
  ), noted as (
    insert into archived_reports (id)
    select g.id from gone as g where g.type in ('DriftDetected', 'MessageRejected')
        on conflict do nothing
  )
  select count(*) into dropped from gone;
  update archived set dropped_to = last;
end
$$;

do $$
begin
  execute format('alter function drop_archived(bigint) set search_path = %I, pg_temp', current_schema());
end
$$;
