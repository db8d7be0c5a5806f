-- Readers of the feed, each with its consumer in the broker, and how far they were seen to be.

create table feed_readers (
  consumer text primary key,
  reader text not null,
  from_seq bigint not null,
  only_type text,
  removed boolean not null,
  at timestamptz not null,
  actor text not null,
  reason text not null
);

-- Told by the broker now and then: no events, and nothing that a rebuild could make again.
create table feed_places (
  consumer text primary key,
  acked bigint not null,
  waiting bigint not null,
  at timestamptz not null
);
