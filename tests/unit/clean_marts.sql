create table dim_date as
select d as date_day, d - date '{launch}' as launch_day_number, year(d) as year, quarter(d) as quarter, month(d) as month,
day(d) as day_of_month, cast(date_trunc('month', d) as date) as month_start_date, cast(date_trunc('quarter', d) as date) as quarter_start_date,
isoyear(d) as iso_year, week(d) as iso_week, cast(date_trunc('week', d) as date) as week_start_date, isodow(d) as day_of_week, dayname(d) as weekday_name,
isodow(d) > 5 as is_weekend
from (select cast(unnest(generate_series(date '{launch}', date '{last}', interval 1 day)) as date) as d);

create table fct_user_activity_day as
select 'u' || u as user_id, date '{launch}' + cast(u + n as integer) as activity_date, 'web' as platform, 'DE' as country_code, '1.0.0' as app_version,
true as has_opened, n <> 2 as has_used, n <> 2 as is_active, n = 0 as has_signed_up, 3::bigint as event_count
from range(6) as users(u) cross join range(4) as days(n);

create table fct_session as
select md5(user_id || activity_date) as session_key, 'd' || user_id as device_id, 's' || activity_date as session_id, user_id, 1::bigint as user_count,
activity_date as session_date, activity_date + interval 5 hour as started_at, activity_date + interval 6 hour as ended_at, 3600.0::double as duration_seconds,
platform, null::varchar as device_model, null::varchar as os_version, app_version, country_code, event_count, 0::bigint as crash_count, true as has_app_start,
has_used as has_app_ready, false as has_playback_start, false as has_startup_crash, true as is_crash_free
from fct_user_activity_day
union all
select md5('anonymous'), 'da', 'sa', null, 0, date '{launch}', timestamp '{launch} 07:00', timestamp '{launch} 07:00', 0, 'tv', null, null, '1.0.0', 'NA', 1, 0, false, true, false, false, null;

create table dim_device as
select device_id, any_value(platform) as platform, any_value(device_model) as device_model, any_value(os_version) as os_version, any_value(app_version) as app_version,
any_value(country_code) as country_code, min(session_date) as first_session_date, max(session_date) as last_session_date, count(*) as session_count
from fct_session group by device_id;

create table mart_active_users_daily as
select date_day as activity_date,
if(is_gap, null, (select count(*) from fct_user_activity_day where activity_date = date_day and is_active)) as active_users,
if(is_gap, null, (select count(*) from fct_user_activity_day where activity_date = date_day and has_used)) as used_users,
if(is_gap, null, (select count(*) from fct_user_activity_day where activity_date = date_day and has_opened)) as opened_users,
if(is_gap, null, (select count(*) from fct_session where session_date = date_day and user_count = 0)) as anonymous_devices,
count(*) filter (where not is_gap) over (order by date_day rows between 1 following and unbounded following) < 3 as is_provisional, is_gap
from (select date_day, list_contains(cast({gaps} as date[]), date_day) as is_gap from dim_date);

create table mart_retention_cohort as
with users as (select user_id, min(activity_date) as day_0 from fct_user_activity_day where has_signed_up group by user_id),
gaps as (select unnest(cast({gaps} as date[])) as gap_date),
cells as (
select 'day' as cohort_grain, date_day as cohort_date, n as period_number, date_day as last_day_0, date_day + cast(n as integer) as first_seen, date_day + cast(n as integer) as last_seen
from dim_date cross join range(29) as periods(n)
union all
select distinct 'week', week_start_date, n, week_start_date + 6, week_start_date + cast(7 * n as integer), week_start_date + cast(7 * n + 12 as integer)
from dim_date cross join range(9) as periods(n)),
sized as (
select *, if(exists (select 1 from gaps where gap_date between cohort_date and last_day_0), null, (select count(*) from users where day_0 between cohort_date and last_day_0)) as cohort_users
from cells),
counted as (
select cohort_grain, cohort_date, period_number, cohort_users,
if(cohort_users is null or last_seen > date '{last}' or exists (select 1 from gaps where gap_date between first_seen and last_seen), null,
(select count(distinct user_id) from users join fct_user_activity_day using (user_id) where is_active and day_0 between cohort_date and last_day_0
and activity_date - day_0 between period_number * if(cohort_grain = 'day', 1, 7) and period_number * if(cohort_grain = 'day', 1, 7) + if(cohort_grain = 'day', 0, 6))) as retained_users
from sized)
select *, retained_users / nullif(cohort_users, 0) as retention_rate from counted
