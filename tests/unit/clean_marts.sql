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
has_used as has_app_ready, has_used as has_playback_start, false as has_startup_crash, true as is_crash_free
from fct_user_activity_day
union all
select md5('anonymous'), 'da', 'sa', null, 0, date '{launch}', timestamp '{launch} 07:00', timestamp '{launch} 07:00', 0, 'tv', null, null, '1.0.0', 'NA', 1, 0, false, true, false, false, null;

create table dim_device as
select device_id, any_value(platform) as platform, any_value(device_model) as device_model, any_value(os_version) as os_version, any_value(app_version) as app_version,
any_value(country_code) as country_code, min(session_date) as first_session_date, max(session_date) as last_session_date, count(*) as session_count
from fct_session group by device_id;

create table dim_user as
with changes as (
select user_id, activity_date + interval 5 hour as valid_from, 'open' as account_status, 'DE' as country_code, true as is_last from fct_user_activity_day where has_signed_up
union all select 'u0', timestamp '{launch}' + interval 3 day, 'open', 'NA', true
union all select 'u1', timestamp '{launch}' + interval 9 day, 'closed', 'DE', true)
select md5(user_id || valid_from) as user_key, user_id, valid_from, lead(valid_from) over account as valid_to, lead(valid_from) over account is null as is_current,
row_number() over account as version_number, account_status, min(valid_from) over account_all as created_at, cast(min(valid_from) over account_all as date) as created_date,
country_code, 'web' as acquisition_platform, 1990::bigint as birth_year, true as has_marketing_consent
from changes window account as (partition by user_id order by valid_from), account_all as (partition by user_id);

create table dim_country as
select * from (values
('NA', 'NAM', 'Namibia', false, 'Sub-Saharan Africa', 'Upper middle income', 'IBRD', 'Windhoek', 17.0931::double, -22.5648::double),
('DE', 'DEU', 'Germany', false, 'Europe & Central Asia', 'High income', 'Not classified', 'Berlin', 13.4115, 52.5235),
('1W', 'WLD', 'World', true, null, null, null, null, null, null))
as countries(country_code, country_iso3, country_name, is_aggregate, region_name, income_group, lending_type, capital_city, longitude, latitude);

create table dim_title as
select 't1' as title_id, 'The Silent Harbour' as title_name, 'film' as title_kind, 'drama' as genre, 2020::bigint as release_year, 5400::bigint as runtime_seconds;

create table dim_plan as
select md5(md5(plan_id) || currency_code) as plan_key, plan_id, currency_code, 'Basic' as plan_name, monthly_price::decimal(18,4) as monthly_price, 7::bigint as trial_days
from (values ('basic', 'EUR', 5.49), ('basic', 'BRL', 18.9)) as plans(plan_id, currency_code, monthly_price);

create table dim_experiment as
select 'home_rows' as experiment_id, 'Rows of the home page by taste' as experiment_name, 'retention_day_7' as goal_metric, timestamp '{launch}' as started_at,
timestamp '{launch}' + interval 30 day as ended_at, 0.5::decimal(18,4) as treatment_share;

create table fct_user_device_day as
select user_id, 'd' || user_id as device_id, activity_date, if(user_id = 'u2', 2, 3)::bigint as event_count from fct_user_activity_day
union all
select user_id, 'du1', activity_date, 1 from fct_user_activity_day where user_id = 'u2';

create table bridge_user_device as
select user_id, device_id, min(activity_date) as first_activity_date, max(activity_date) as last_activity_date, count(*) as active_day_count,
1 / count(*) over (partition by user_id) as device_weight, 1 / count(*) over (partition by device_id) as user_weight
from fct_user_device_day group by user_id, device_id;

create table fct_playback as
select md5(session_key || 'p1') as playback_key, session_key, device_id, session_id, 'p1' as playback_id, user_id, 't1' as title_id, session_date as playback_date,
started_at + interval 10 minute as started_at, started_at + interval 50 minute as ended_at, 2300::double as watched_seconds, 2400::double as stop_position_seconds,
1.5::double as startup_seconds, 8::bigint as heartbeat_count, true as has_start, true as has_stop, platform, country_code, app_version
from fct_session where has_playback_start;

create table fct_subscription_change as
select change_id::bigint as change_id, subscription_id, user_id, md5(md5('basic') || 'EUR') as plan_key, 'basic' as plan_id, 'EUR' as currency_code, status,
lag(status) over subscription as previous_status, lag('basic') over subscription as previous_plan_id, timestamp '{launch}' + to_days(day_number) as changed_at,
date '{launch}' + day_number as change_date, lead(timestamp '{launch}' + to_days(day_number)) over subscription as next_changed_at, row_number() over subscription as change_number
from (values (1, 's1', 'u0', 'trial', 1), (2, 's1', 'u0', 'active', 8), (3, 's1', 'u0', 'cancelled', 9), (4, 's2', 'u3', 'trial', 4))
as changes(change_id, subscription_id, user_id, status, day_number) window subscription as (partition by subscription_id order by change_id);

create table fct_fx_rate_day as
with days as (select date_day, date_day - greatest(isodow(date_day) - 5, 0)::integer as published_date from dim_date),
rates as (
select date_day, 'EUR' as currency_code, date_day as published_date, 1::decimal(18,8) as units_per_eur from days
union all select date_day, 'USD', published_date, 1.1 from days
union all select date_day, 'BRL', published_date, 6.25 from days)
select date_day as rate_date, currency_code, published_date, date_day - published_date as age_days, units_per_eur::decimal(18,8) as units_per_eur, 1.1::decimal(18,8) as usd_per_eur
from rates;

create table fct_payment as
select payment_id, 's1' as subscription_id, 'u0' as user_id, kind, status, status = 'settled' as is_settled, 5.49::decimal(18,4) as amount, 'EUR' as currency_code,
timestamp '{launch}' + to_days(day_number) as paid_at, date '{launch}' + day_number as paid_date,
if(status = 'pending', null, timestamp '{launch}' + to_days(day_number + 1)) as resolved_at, if(status = 'pending', 1, 2)::bigint as change_count,
6.039::decimal(18,4) as amount_usd, (case when status <> 'settled' then 0 when kind = 'refund' then -6.039 else 6.039 end)::decimal(18,4) as revenue_usd
from (values ('p1', 'charge', 'failed', 8), ('p2', 'charge', 'settled', 10), ('p3', 'refund', 'settled', 12), ('p4', 'charge', 'pending', 13))
as payments(payment_id, kind, status, day_number);

create table fct_country_indicator_year as
select country_code, 'SP.POP.TOTL' as indicator_id, 2024::bigint as year, 'Population, total' as indicator_name, 1e6::double as value, is_aggregate from dim_country;

create table mart_active_users_daily as
select date_day as activity_date,
if(is_gap, null, (select count(*) from fct_user_activity_day where activity_date = date_day and is_active)) as active_users,
if(is_gap, null, (select count(*) from fct_user_activity_day where activity_date = date_day and has_used)) as used_users,
if(is_gap, null, (select count(*) from fct_user_activity_day where activity_date = date_day and has_opened)) as opened_users,
if(is_gap, null, (select count(*) from fct_session where session_date = date_day and user_count = 0)) as anonymous_devices,
count(*) filter (where not is_gap) over (order by date_day rows between 1 following and unbounded following) < 3 as is_provisional, is_gap
from (select date_day, list_contains(cast({gaps} as date[]), date_day) as is_gap from dim_date);

create table mart_retention_cohort as
with users as (select user_id, created_date as day_0 from dim_user where is_current),
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
