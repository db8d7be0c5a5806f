-- Servers from which Sluice was taken, until their agent is enrolled anew.

alter table servers add column uninstalled_at timestamptz;
