-- Which servers were ever to hold a policy, so that who asks for a policy as of some time looks at no other server.
create table policy_servers (
  policy text not null,
  server text not null,
  primary key (policy, server)
);

insert into policy_servers (policy, server)
select distinct one ->> 'policy', a.server
  from assignments as a
 cross join lateral jsonb_array_elements(a.assigned) as one;
