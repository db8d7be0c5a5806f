-- Rollouts that people confirm, and until when a server waits for them.

alter table rollouts add column by_hand_ms integer;
alter table assignments add column proven_until timestamptz;
