-- What src/transform/function/signatures.tsv holds: psql -At -F'<tab>' -f this file, on PostgreSQL 15.
with names(n) as (select unnest(string_to_array($$concat concat_ws upper lower length char_length character_length octet_length bit_length trim ltrim rtrim btrim substring substr left right replace split_part strpos position lpad rpad repeat reverse initcap md5 sha224 sha256 sha384 sha512 encode decode ascii chr translate overlay starts_with quote_ident quote_literal quote_nullable to_hex format string_to_array array_to_string regexp_replace regexp_match regexp_matches regexp_split_to_array regexp_like regexp_count regexp_substr regexp_instr unistr normalize
abs ceil ceiling floor round trunc mod power pow sqrt cbrt sign div gcd lcm exp ln log log10 factorial degrees radians sin cos tan cot asin acos atan atan2 pi width_bucket scale min_scale trim_scale random numeric_inc
date_trunc date_part extract date_bin age to_char to_date to_timestamp to_number make_date make_time make_timestamp make_timestamptz make_interval justify_days justify_hours justify_interval isfinite now transaction_timestamp statement_timestamp clock_timestamp timeofday timezone
json_build_object jsonb_build_object json_build_array jsonb_build_array to_json to_jsonb jsonb_typeof json_typeof jsonb_array_length json_array_length jsonb_extract_path jsonb_extract_path_text json_extract_path json_extract_path_text jsonb_strip_nulls json_strip_nulls jsonb_set jsonb_pretty jsonb_insert row_to_json array_to_json
array_length cardinality array_lower array_upper array_ndims array_dims array_position array_positions array_append array_prepend array_cat array_remove array_replace
nullif num_nulls num_nonnulls enum_first enum_last enum_range gen_random_uuid get_byte set_byte get_bit set_bit bit_count host masklen family network netmask hostmask broadcast abbrev set_masklen hashtext convert_from convert_to jsonb_object json_object int4 int8 int2 float4 float8 numeric text varchar bpchar name bool date time timestamp timestamptz interval uuid
current_database current_schema current_setting pg_typeof version txid_current pg_sleep nextval currval lastval$$ , E' ')) ),
nm as (select distinct btrim(x, E' \n') n from names, unnest(string_to_array(n, E'\n')) x)
select 'o', oprname, concat_ws(',', l.typname, r.typname), res.typname, p.provolatile, case when p.proisstrict then 's' else '-' end, '-'
 from pg_operator o left join pg_type l on l.oid=o.oprleft join pg_type r on r.oid=o.oprright join pg_type res on res.oid=oprresult join pg_proc p on p.oid=oprcode
 where oprnamespace='pg_catalog'::regnamespace
union all
select 'f', proname, coalesce((select string_agg(typname, ',' order by i) from unnest(p.proargtypes) with ordinality a(t,i) join pg_type ty on ty.oid=t),''), res.typname, provolatile, case when proisstrict then 's' else '-' end, case when provariadic<>0 then 'v' else '-' end
 from pg_proc p join pg_type res on res.oid=prorettype where pronamespace='pg_catalog'::regnamespace and prokind='f' and not proretset and proname in (select n from nm)
union all
select 'c', s.typname||'->'||t.typname, s.typname, t.typname, coalesce(provolatile,'i'), case when p.oid is null or proisstrict then 's' else '-' end, castcontext::text
 from pg_cast c join pg_type s on s.oid=castsource join pg_type t on t.oid=casttarget left join pg_proc p on p.oid=castfunc
order by 1,2,3;
