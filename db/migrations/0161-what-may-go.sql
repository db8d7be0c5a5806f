-- Also what an event of the log lets go can only be of some types: who has the service's login, and not control's key, can't
-- take policies, servers, freezes or archives out with a made-up LogArchived. services/control/audit/kept.ts says why which.

create function may_go(type text) returns boolean language sql immutable parallel safe
return type in (
  'AssignmentDecided', 'ServerProven', 'ServerConfirmed', 'ServerRefused', 'ServerReverted',
  'DriftDetected', 'DriftRepairAsked', 'MessageRejected',
  'PlanRequested', 'PlanAnswered', 'PlanFinished',
  'RolloutStarted', 'RolloutConfirmed', 'WaveStarted', 'RolloutCompleted', 'RolloutHalted',
  'ListCreated', 'ListChanged', 'ListRetired');

create or replace function refuse_drop() returns trigger language plpgsql
set enable_nestloop = off
as $$
begin
  if exists (select from gone as g where not may_go(g.type) or not exists (select from archived as a where g.seq <= a.up_to))
    or exists (select from gone as g join (select unnest(a.kept) as seq from archived as a) as k on k.seq = g.seq)
  then
    raise exception 'the event log is never changed: % on % is refused', tg_op, tg_table_name
      using errcode = 'restrict_violation';
  end if;
  return null;
end
$$;

do $$
begin
  execute format('alter function refuse_drop() set search_path = %I, pg_temp', current_schema());
end
$$;
