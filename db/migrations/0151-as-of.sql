-- What stood at a time: lookups for a server, a list and a policy, however long ago it is.

create index assignments_confirmed on assignments (server, outcome_at) where outcome = 'confirmed';
create index list_revisions_at on list_revisions (list, at);
create index policy_revisions_at on policy_revisions (policy, at);

-- Which entries a list had at which of its revs: from `since_rev` on, and before `until_rev` (absent: still). One whose
-- lifetime was renewed has another row from then on. Made of events by a projection that nothing waits for.
create table list_spans (
  list text not null,
  entry text collate "C" not null,
  since_rev integer not null,
  until_rev integer,
  until timestamptz,
  primary key (list, entry, since_rev)
);

-- A list's revs as a stretch of one long line, so that one index finds what holds a point of it.
create function list_point(list text, rev integer) returns bigint language sql immutable parallel safe
return (hashtext(list)::bigint << 32) + coalesce(rev, 2147483647);

create index list_spans_during on list_spans
  using gist (int8range(list_point(list, since_rev), list_point(list, until_rev)));

-- A server's labels from each change of them on.
create table server_labels (
  server text not null,
  seq bigint not null,
  at timestamptz not null,
  labels jsonb not null,
  primary key (server, seq)
);
create index server_labels_at on server_labels (server, at);
